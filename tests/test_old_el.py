"""Every check and cleaner states its answer for CentOS 6 and 7; all that is run exists there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from img_tools import checking, cleaning, session
from img_tools.actions import Run
from img_tools.host import Host
from img_tools.model import Skip, Undecided
from img_tools.plugins import load
from img_tools.runner import Completed
from img_tools.services import Services
from img_tools.surgery import Surgeon
from tests import old_el
from tests.engine.dnf import Talking
from tests.support import build, missing

CHECKS = {plugin.id: plugin for plugin in load("img_tools.checks", "check")}
CLEANERS = {plugin.id: plugin for plugin in load("img_tools.cleaners", "plan")}
EVERYWHERE = ("pass", "fail")
REMARK = ("pass", "warn")

# (clean, dirty) on both, or {release: (clean, dirty)}. Why it is no pass on a clean image:
#   cloud-init    0.7.5, the last one of CentOS 6, is older than the 0.7.6 that is required
#   disk-size     only a running kernel tells
#   free-space    the image is a directory of this machine's disk
#   first-login   there is none, unless the dirt brings one
#   os-lifecycle  neither gets free updates any more
#   reboot-required  only the running system tells
STATUSES: dict[str, Any] = {
    "accounts": EVERYWHERE, "boot": EVERYWHERE,
    "cloud-init": {"6": ("fail", "fail"), "7": EVERYWHERE}, "cloud-init-state": EVERYWHERE,
    "crash-data": REMARK, "credentials": EVERYWHERE, "disk-size": ("skip", "skip"),
    "do-agent": EVERYWHERE, "do-features": REMARK, "firewall": EVERYWHERE,
    "first-boot-scripts": EVERYWHERE, "first-boot-secrets": EVERYWHERE,
    "first-login": ("skip", "fail"), "free-space": ("skip", "skip"), "fstab": REMARK,
    "identity": REMARK, "logs": REMARK, "machine-id": EVERYWHERE, "mail-and-spools": REMARK,
    "motd": REMARK, "network-leftovers": REMARK, "node-identity": EVERYWHERE,
    "os-lifecycle": ("warn", "warn"), "os-release": ("pass", "pass"),
    "package-cache": REMARK, "package-state": EVERYWHERE,
    # Their repositories publish no advisories: every update counts as a security update.
    "package-updates": ("pass", "pass"), "security-updates": EVERYWHERE,
    "passwords": EVERYWHERE, "private-keys": EVERYWHERE, "reboot-required": ("skip", "warn"),
    "repositories": EVERYWHERE,
    "shell-history": EVERYWHERE, "ssh-host-keys": EVERYWHERE, "ssh-keys": EVERYWHERE,
    # The dirt lets root in with a password: bad, but nobody is locked out.
    "ssh-lockout": ("pass", "pass"), "ssh-server": EVERYWHERE, "temp-files": REMARK,
    "tokens": EVERYWHERE,
}
# What each cleaner plans for the dirty image: paths, or commands. For the clean one: nothing.
PLANS: dict[str, Any] = {
    "accounts": ("/etc/shadow-",), "cloud-init-state": ("/var/lib/cloud/instances/i-1",),
    "crash-data": ("/var/spool/abrt/ccpp-1",),
    "do-agent": ("yum -y -q remove do-agent", "/opt/digitalocean"),
    "final": ("/var/log/secure",),
    "free-space": Skip,  # as above
    "node-identity": ("/etc/docker/key.json",),
    "identity": ("/var/lib/random-seed", "/var/lib/yum/uuid"),
    "logs": ("/var/log/cron", "/var/log/maillog", "/var/log/messages", "/var/log/secure",
             "/var/log/audit/audit.log", "/var/log/yum.log", "/var/log/messages-20260101"),
    "machine-id": {"6": ("/var/lib/dbus/machine-id",),
                   "7": ("/etc/machine-id", "/var/lib/dbus/machine-id")},
    "mail-and-spools": ("/var/spool/mail/root",),
    "network-leftovers": ("/var/lib/dhclient/dhclient-eth0.leases",
                          "/etc/udev/rules.d/70-persistent-net.rules"),
    "package-cache": ("/var/cache/yum/x86_64",),
    "package-upgrade": ("yum -y -q clean expire-cache", "yum -y -q upgrade"),
    "quiet": Skip,  # a mounted image writes nothing
    "shell-history": ("/root/.bash_history",),
    "ssh-host-keys": Undecided,  # cloud-init does not start in the dirty image: they stay
    "ssh-keys": ("/root/.ssh/authorized_keys", "/root/.ssh/id_rsa"),
    "temp-files": ("/tmp/.hidden",),
}

System = Callable[..., tuple[Host, Talking]]
each_release = pytest.mark.parametrize("release", ["6", "7"])


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """system("6", dirty=False) -> (host, runner)."""
    hosts = []

    def made(release: str, *, dirty: bool = False) -> tuple[Host, Talking]:
        host, run = old_el.system(tmp_path / f"{release}-{dirty}", release, dirty=dirty)
        hosts.append(host)
        return host, run

    yield made
    for host in hosts:
        host.close()


def of(table: dict[str, Any], plugin: str, release: str) -> Any:
    """The entry of PLUGIN for RELEASE; there must be one."""
    assert plugin in table, f"say what {plugin} has to say on CentOS 6 and 7"
    found = table[plugin]
    return found[release] if isinstance(found, dict) else found


def planned(plugin: str, host: Host) -> list[str]:
    return [" ".join(action.argv) if isinstance(action, Run)
            else getattr(action, "path", None) or action.directory
            for action in CLEANERS[plugin].verb(host)]


@each_release
@pytest.mark.parametrize("check_id", CHECKS)
def test_every_check(system: System, release: str, check_id: str) -> None:
    clean, dirty = of(STATUSES, check_id, release)
    for expected, soiled in ((clean, False), (dirty, True)):
        result = checking.evaluate(system(release, dirty=soiled)[0], CHECKS[check_id])
        assert result.status.value == expected, result
        assert expected != "skip" or result.message


@each_release
@pytest.mark.parametrize("cleaner_id", CLEANERS)
def test_every_cleaner(system: System, release: str, cleaner_id: str) -> None:
    expected = of(PLANS, cleaner_id, release)
    clean, dirty = system(release)[0], system(release, dirty=True)[0]
    if isinstance(expected, type):
        with pytest.raises(expected, match=r"\w"):
            planned(cleaner_id, dirty)
        return
    assert planned(cleaner_id, clean) == []
    found = planned(cleaner_id, dirty)
    assert [item for item in expected if not any(item in line for line in found)] == [], found


def test_nothing_is_stated_of_what_is_not_there() -> None:
    assert set(STATUSES) == set(CHECKS)
    assert set(PLANS) == set(CLEANERS)


@each_release
def test_a_remedy_is_a_command_of_that_release(system: System, release: str) -> None:
    strange = {"6": ("systemctl", "dnf ", "update-grub", "update-rc.d", "firewall-"),
               "7": ("chkconfig", "dnf ", "update-grub")}[release]
    host, _ = system(release, dirty=True)
    advice = [finding.remediation or "" for check in CHECKS.values()
              for finding in checking.evaluate(host, check).findings]
    assert len(advice) > 50
    assert [line for line in advice if any(line.startswith(word) or f" {word}" in line
                                           for word in strange)] == []


# -- what is run ---------------------------------------------------------------------------------

# Options that came later: systemctl --value 230, journalctl --relinquish-var 243, unshare
# --kill-child 2.32; util-linux 2.27 makes a bind mount read-only in one step.
TOO_NEW = {"--value", "--relinquish-var", "-P", "bind,ro", "--now", "--kill-child"}
PROGRAMS = {"6": {"rpm", "yum", "service", "userdel", "usermod", "mount", "poweroff"}}
PROGRAMS["7"] = (PROGRAMS["6"] - {"poweroff"}) | {"systemctl", "journalctl", "mkdir", "unshare"}


@pytest.fixture
def running(system: System, monkeypatch: pytest.MonkeyPatch) -> System:
    """system("6") -> a running one whose rsyslog runs; CentOS 7's journal is on the disk."""
    def made(release: str) -> tuple[Host, Talking]:
        host, run = system(release, dirty=True)
        monkeypatch.setattr(Host, "live", property(lambda host: True))
        monkeypatch.setattr(Services, "journal_on_disk", release == "7")
        if release == "7":
            (Path(run.top) / "run/systemd/system").mkdir(parents=True)
        run.answers |= {"status": "", "--version": "systemd 219\n+PAM +AUDIT\n",
                        "show": "ActiveState=inactive\n", "rsyslog.service": "ActiveState=active\n"}
        run.answers = {"rsyslog.service": run.answers.pop("rsyslog.service"), **run.answers}
        return host, run

    return made


def test_a_running_centos_6_is_quieted(running: System) -> None:
    host, run = running("6")
    assert planned("quiet", host) == ["service rsyslog stop"]
    assert ("service", "rsyslog", "status") in run.calls


def test_a_running_centos_7_is_quieted(running: System) -> None:
    """Its journalctl cannot have journald log to memory, but a drop-in can."""
    host, run = running("7")
    answer = run._answer
    run._answer = lambda argv: answer(argv[-1:] if argv[-1] in run.answers else argv)
    assert planned("quiet", host) == [
        "systemctl stop rsyslog.service", "mkdir -p /run/systemd/journald.conf.d",
        "/run/systemd/journald.conf.d/img-clean.conf",
        "systemctl restart systemd-journald.service"]


def test_auditd_is_stopped_as_el_allows_it(running: System) -> None:
    host, run = running("7")
    run.answers["show"] = "ActiveState=active\n"
    build(Path(run.top), {"/usr/libexec/initscripts/legacy-actions/auditd/stop": "x"})
    assert "service auditd stop" not in planned("quiet", host)  # EL 10 may come without service(8)
    build(Path(run.top), {"/usr/sbin/service": "x"})
    assert "service auditd stop" in planned("quiet", host)


def test_without_an_init_nothing_runs(running: System) -> None:
    """As in the container of an image's build, which has scripts and may have no service(8)."""
    host, run = running("6")
    run.answers["status"] = missing("service")
    assert planned("quiet", host) == []


@each_release
def test_every_command_exists_there(running: System, release: str) -> None:
    host, run = running(release)
    for check in CHECKS.values():
        checking.evaluate(host, check)
    commands = list(run.calls)
    with Surgeon(host.root) as surgeon:
        for cleaner in CLEANERS.values():
            try:
                actions = list(cleaner.verb(host))
            except (Skip, Undecided):
                continue
            run.calls.clear()
            for action in (item for item in actions if isinstance(item, Run)):
                cleaning.apply(host, surgeon, action)
            commands += run.calls
    assert {argv[0] for argv in commands} <= PROGRAMS[release]
    assert [argv for argv in commands if TOO_NEW & set(argv)] == []
    assert {"yum", "rpm"} <= {argv[0] for argv in commands}


@each_release
def test_it_can_be_powered_off(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, ...]] = []

    def run(*argv: str) -> Completed:
        if argv[0] not in PROGRAMS[release]:
            raise missing(*argv)
        calls.append(argv)
        return Completed(argv, 0, "", "")

    monkeypatch.setattr(session, "_interactive", list)
    monkeypatch.setattr(session.signal, "signal", lambda *args: None)
    session.power_off(run)  # type: ignore[arg-type]
    assert calls[-1] == {"6": ("poweroff",), "7": ("systemctl", "poweroff")}[release]
    assert [argv for argv in calls if TOO_NEW & set(argv)] == []
    assert ("mount", "-o", "remount,bind,ro", "/var/log/wtmp") in calls
