"""Quiet the machine: no upgrades by timer, no log written to the disk

Stops the timers and services that install or write by themselves, and makes journald log to memory,
so that what is cleaned stays clean until the power goes off. The record of the shutdown in wtmp is
written now for the same reason. Nothing is disabled: all of it starts again at the next boot.
"""

from collections.abc import Iterator

from img_tools.actions import Action, Phase, Run
from img_tools.host import Host

PHASE = Phase.QUIET

WRITERS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "apt-daily.service", "apt-daily-upgrade.service",
    "unattended-upgrades.service", "update-notifier-download.timer", "motd-news.timer",
    "man-db.timer", "logrotate.timer", "fwupd-refresh.timer", "dpkg-db-backup.timer",
    "dnf-makecache.timer", "dnf-makecache.service", "dnf-automatic.timer",
    "dnf-automatic-install.timer", "dnf5-automatic.timer", "yum-cron.service", "packagekit.service",
    "syslog.socket", "rsyslog.service", "syslog-ng.service", "sysstat-collect.timer",
    "systemd-update-utmp.service", "wtmpdb-update-boot.service",
)


def plan(host: Host) -> Iterator[Action]:
    """Yield a stop for every writer that runs."""
    host.require_live("only a running system writes")
    running = [unit for unit in WRITERS if host.active(unit)]
    if running:
        yield Run(("systemctl", "stop", *running), "would write again after the cleaning")
    if host.journal_on_disk:
        yield Run(("journalctl", "--relinquish-var"), "the journal goes to memory from here on")
