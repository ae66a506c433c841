"""Quiet the machine: no upgrades by timer, no log written to the disk

Stops the timers and services that install or write by themselves, and makes journald log to memory,
so that what is cleaned stays clean until the power goes off. The record of the shutdown in wtmp is
written now for the same reason. Nothing is disabled: all of it starts again at the next boot.
"""

from collections.abc import Iterator

from img_tools.actions import Action, Phase, Run, Write
from img_tools.host import Host

PHASE = Phase.QUIET

RELINQUISH = 243  # the first systemd whose journalctl knows --relinquish-var; EL 8 has 239
VOLATILE = "/run/systemd/journald.conf.d/img-clean.conf"
# EL's systemd may not stop auditd, but there `service auditd stop` runs the first of these.
AUDITD = ("/usr/libexec/initscripts/legacy-actions/auditd/stop", "/usr/sbin/service")
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
    running = [unit for unit in WRITERS if host.services.active(unit)]
    for command in host.services.stopping(*running):
        yield Run(command, "would write again after the cleaning")
    if all(map(host.root.is_file, AUDITD)) and host.services.active("auditd.service"):
        yield Run(("service", "auditd", "stop"), "would write again after the cleaning")
    if host.services.journal_on_disk:
        yield from _volatile_journal(host)


def _volatile_journal(host: Host) -> Iterator[Action]:
    """Yield what has journald log to memory until the next boot."""
    why = "the journal goes to memory from here on"
    if host.services.systemd_version >= RELINQUISH:
        yield Run(("journalctl", "--relinquish-var"), why)
        return
    directory, _, _ = VOLATILE.rpartition("/")
    yield Run(("mkdir", "-p", directory), why)
    yield Write(VOLATILE, "[Journal]\nStorage=volatile\n", 0o644, why)
    yield Run(("systemctl", "restart", "systemd-journald.service"), why)
