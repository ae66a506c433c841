"""On every release a clean tree passes, and every planted fault is found, and nothing else."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.rootfs import running
from tests.rootfs.clean import chroot
from tests.rootfs.conftest import Tree
from tests.rootfs.planting import Add, Edit, plant
from tests.rootfs.running import Checked
from tests.rootfs.trees import SUITES
from tests.ssh import pem
from tests.support import File, Link

# What a clean tree says all the same: (check, status, suites) -> why that is right.
EVERYWHERE = SUITES
ALLOWED = {
    ("boot", "warn", EVERYWHERE): "a kernel is half a gigabyte; none is installed in the trees",
    ("disk-size", "skip", EVERYWHERE): "only a running kernel knows the size of the disk",
    ("first-login", "skip", EVERYWHERE): "the image of the tests has no first-login script",
    ("reboot-required", "skip", EVERYWHERE): "only a running system knows what runs",
    ("os-lifecycle", "warn", ("bullseye",)): "its free security updates ended on 2026-08-31",
}


def unexpected(outcome: Checked, suite: str) -> list[dict[str, Any]]:
    """The results that are neither a pass nor allowed for SUITE."""
    allowed = {(check, status) for check, status, suites in ALLOWED if suite in suites}
    return [result for result in outcome.report["checks"]
            if result["status"] != "pass" and (result["id"], result["status"]) not in allowed]


@pytest.mark.parametrize("refresh", [True, False], ids=["refresh", "no-refresh"])
def test_a_clean_tree_passes(clean_tree: Tree, suite: str, refresh: bool) -> None:
    outcome = running.check(clean_tree(suite), *([] if refresh else ["--no-refresh"]))
    assert unexpected(outcome, suite) == []
    assert outcome.code == 0


def test_a_clean_system_passes_from_inside(booted_clean: Tree, suite: str) -> None:
    """The same image asked while it "runs": the kernel that is missing is then no doubt, but a
    FAIL, and all else passes."""
    outcome = running.check_inside(booted_clean(suite))
    assert [result["id"] for result in unexpected(outcome, suite)] == ["boot"]
    assert outcome.of("boot")["status"] == "fail"
    assert outcome.of("disk-size")["status"] == "pass"


def test_every_allowance_is_needed(clean_tree: Tree) -> None:
    seen = {(suite, result["id"], result["status"]) for suite in SUITES
            for result in running.check(clean_tree(suite), "--no-refresh").report["checks"]}
    for check, status, suites in ALLOWED:
        for suite in suites:
            assert (suite, check, status) in seen


# -- one fault each ------------------------------------------------------------------------------

Plant = Mapping[str, object] | Callable[[Path], object]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx1u1r4n7Wd2cQ9m8v0aZ6tq3kYbHfLrPzXwEoNsGuT me@here\n"
HASH = "$6$saltsalt$" + "q1W2e3R4" * 10 + "abcdef"
ID = "0123456789abcdef0123456789abcdef\n"
SCRIPT = File("#!/bin/sh\ntrue\n", mode=0o755)


@dataclass(frozen=True)
class Row:
    """A fault and the finding it must lead to; `also` are checks that it rightly touches as well.

    With `alone` it is not planted together with the others: it would hide one of them.
    """

    plant: Plant
    check: str
    code: str
    status: str
    also: frozenset[str] = field(default_factory=frozenset)
    alone: bool = False

    def apply(self, tree: Path) -> None:
        if callable(self.plant):
            self.plant(tree)
        else:
            plant(tree, self.plant)


def row(
    check: str, code: str, status: str, what: Plant, *also: str, alone: bool = False
) -> Row:
    return Row(what, check, code, status, frozenset(also), alone)


def command(*argv: str) -> Plant:
    return lambda tree: chroot(tree, *argv)


def private_key(path: str) -> Plant:
    """A fresh key, as OpenSSH writes it."""
    def make(tree: Path) -> None:
        target = tree / path.strip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(target)],
                       check=True, stdin=subprocess.DEVNULL)
        target.with_name(f"{target.name}.pub").unlink()
    return make


def older(package: Callable[[Path], str]) -> Plant:
    """PACKAGE as dpkg would know it after an installation long ago."""
    return lambda tree: plant(tree, {"/var/lib/dpkg/status": Edit(
        rf"(?<=^Package: {re.escape(package(tree))}\n)((?:.+\n)*?Version: .*)", r"\g<1>~old")})


def with_security_update(tree: Path) -> str:
    """An installed package from the security archive that no other one asks a version of."""
    lists = [f"/var/lib/apt/lists/{path.name}"
             for path in (tree / "var/lib/apt/lists").glob("*security*_Packages*")]
    offered = _stanzas(chroot(tree, "/usr/lib/apt/apt-helper", "cat-file", *lists))
    installed = _stanzas((tree / "var/lib/dpkg/status").read_text())
    for name, stanza in installed.items():
        asks = rf"(?<![\w.+-]){re.escape(name)}(?![\w.+-])"
        if stanza["Version"] == offered.get(name, {}).get("Version") and not any(
            re.search(asks, other.get("Depends", "") + other.get("Pre-Depends", ""))
            for other in installed.values()
        ):
            return name
    raise AssertionError("no package of the tree is from the security archive")


def _stanzas(text: str) -> dict[str, dict[str, str]]:
    found = (dict(re.findall(r"^([\w-]+): (.*)$", part, re.M)) for part in text.split("\n\n"))
    return {fields["Package"]: fields for fields in found if "Version" in fields}


HISTORIES = (".bash_history", ".zsh_history", ".local/share/fish/fish_history", ".ash_history")
CLIENTS = (".mysql_history", ".psql_history", ".python_history", ".rediscli_history")
ROWS = (
    # traces
    *(row("shell-history", "shell-history", "fail", {f"/root/{name}": "ls\n"})
      for name in HISTORIES),
    *(row("shell-history", "client-history", "fail", {f"/root/{name}": "x\n"})
      for name in CLIENTS),
    row("shell-history", "viewer-history", "warn", {"/root/.lesshst": "x\n"}),
    row("shell-history", "shell-history", "fail", {
        "/etc/passwd": Add("app:x:950:950::/srv/app-home:/usr/sbin/nologin\n"),
        "/etc/shadow": Add("app:!:20000::::::\n"),
        "/srv/app-home/.bash_history": "ls\n"}),
    row("logs", "log", "warn", {"/var/log/auth.log": "x\n"}),
    row("logs", "log", "warn", {"/var/log/nginx/deeper/access.log": "x\n"}),
    row("logs", "rotated-log", "warn", {"/var/log/syslog.2.gz": b"\x1f\x8b"}),
    row("logs", "journal", "warn", {f"/var/log/journal/{ID.strip()}/system.journal": "LPKSHHRH"}),
    row("logs", "login-record", "warn", {"/var/log/wtmp": "x" * 384}),
    row("temp-files", "temp-file", "warn", {"/tmp/dump.sql": "x\n"}),
    row("temp-files", "temp-file", "warn", {"/var/tmp/.hidden": "x\n"}),
    row("temp-files", "editor-file", "warn", {"/etc/.hosts.swp": "x\n"}),
    row("temp-files", "superseded-config", "warn", {"/etc/rsyslog.conf.dpkg-old": "x\n"}),
    row("mail-and-spools", "mail", "warn", {"/var/mail/root": "From x\n"}),
    row("mail-and-spools", "crontab", "warn",
        {"/var/spool/cron/crontabs/root": "@daily /bin/true\n"}),
    row("mail-and-spools", "at-job", "warn", {"/var/spool/cron/atjobs/a00001": "#!/bin/sh\n"}),
    row("crash-data", "crash-dump", "warn", {"/var/crash/_usr_bin_x.0.crash": "x\n"}),
    row("package-cache", "package-archive", "warn",
        {"/var/cache/apt/archives/x_1_all.deb": "!<arch>\n"}),
    # identity
    row("machine-id", "machine-id", "fail", {"/etc/machine-id": ID}),
    row("machine-id", "machine-id-absent", "fail", {"/etc/machine-id": None}, alone=True),
    row("machine-id", "dbus-machine-id", "fail", {"/var/lib/dbus/machine-id": ID}),
    row("identity", "random-seed", "warn", {"/var/lib/systemd/random-seed": "x" * 512}),
    row("network-leftovers", "dhcp-lease", "warn",
        {"/var/lib/dhcp/dhclient.eth0.leases": "lease {}\n"}),
    row("credentials", "cloud-token", "fail",
        {"/root/.config/doctl/config.yaml": "access-token: none\n"}),
    row("node-identity", "docker-key", "fail", {"/etc/docker/key.json": "{}\n"}),
    row("tokens", "github-token", "fail", {"/srv/acme/app.conf": f"token = ghp_{'aB3dE5' * 6}\n"}),
    row("private-keys", "private-key", "fail", {"/etc/acme/site.key": pem("RSA", bytes(90))}),
    row("first-boot-secrets", "digitalocean-passwords", "fail",
        {"/root/.digitalocean_passwords": "mysql=x\n"}),
    # accounts
    row("accounts", "uid-zero-twin", "fail", {
        "/etc/passwd": Add("toor:x:0:0::/root:/bin/sh\n"),
        "/etc/shadow": Add("toor:!:20000::::::\n")}),
    row("accounts", "person", "warn", {
        "/etc/passwd": Add("jo:x:1000:1000::/home/jo:/bin/bash\n"),
        "/etc/shadow": Add("jo:!:20000::::::\n")}),
    row("accounts", "sudo-nopasswd", "warn", {
        "/etc/sudoers.d/90-jo": File("jo ALL=(ALL) NOPASSWD:ALL\n", mode=0o440),
        "/etc/sudoers": File("root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n", mode=0o440)}),
    row("passwords", "password-set", "fail",
        {"/etc/shadow": Edit(r"^root:[^:]*:", f"root:{HASH}:")}),
    row("passwords", "password-empty", "fail", {"/etc/shadow": Edit(r"^daemon:[^:]*:", "daemon::")},
        "ssh-server"),
    row("passwords", "locked-hash", "warn",
        {"/etc/shadow": Edit(r"^bin:[^:]*:", f"bin:!{HASH}:")}),
    row("passwords", "copy-with-hash", "warn", {"/etc/shadow-": f"root:{HASH}:20000::::::\n"}),
    row("passwords", "malformed-line", "warn", {"/etc/passwd": Add("who:is:this\n")}),
    # ssh
    row("ssh-keys", "authorized-key", "fail", {"/root/.ssh/authorized_keys": KEY}),
    row("ssh-keys", "authorized-key", "fail", {"/etc/skel/.ssh/authorized_keys2": KEY}),
    row("ssh-keys", "authorized-key", "fail", {
        "/etc/passwd": Add("git:x:951:951::/srv/git:/bin/sh\n"),
        "/etc/shadow": Add("git:!:20000::::::\n"),
        "/srv/git/.ssh/authorized_keys": KEY}),
    row("ssh-keys", "private-key", "fail", private_key("/root/.ssh/deploy")),
    row("ssh-keys", "known-hosts", "warn", {"/root/.ssh/known_hosts": f"git.example {KEY}"}),
    row("ssh-host-keys", "host-key", "fail", private_key("/etc/ssh/ssh_host_ed25519_key")),
    row("ssh-host-keys", "private-key", "fail", private_key("/etc/ssh/ca")),
    row("ssh-server", "not-enabled", "fail", command("systemctl", "disable", "ssh.service")),
    row("ssh-server", "masked", "fail", command("systemctl", "mask", "ssh.service", "ssh.socket"),
        alone=True),
    row("ssh-server", "not-installed", "fail", {"/usr/sbin/sshd": None}, alone=True),
    row("ssh-server", "not-to-be-run", "fail", {"/etc/ssh/sshd_not_to_be_run": ""}),
    row("ssh-server", "config-invalid", "fail",
        {"/etc/ssh/sshd_config.d/x.conf": "PermitRootLogin perhaps\n"}, alone=True),
    row("ssh-server", "no-sftp", "warn",
        {"/etc/ssh/sshd_config": Edit(r"^Subsystem\s.*", "")}),
    row("ssh-server", "root-password-login", "warn",
        {"/etc/ssh/sshd_config.d/y.conf": "PermitRootLogin yes\n"}),
    row("ssh-lockout", "force-command", "fail",
        {"/etc/ssh/sshd_config": Add("Match User root\n  ForceCommand echo wait\n")}),
    # cloud-init
    row("cloud-init", "not-installed", "fail",
        command("dpkg", "--force-all", "--purge", "cloud-init"), "ssh-host-keys", "ssh-lockout",
        "first-boot-scripts", "package-state", "logs", alone=True),
    row("cloud-init", "disabled-by-file", "fail", {"/etc/cloud/cloud-init.disabled": ""},
        "ssh-host-keys", "ssh-lockout"),
    row("cloud-init", "datasource", "fail",
        {"/etc/cloud/cloud.cfg.d/95-x.cfg": "datasource_list: [Ec2, None]\n"}),
    row("cloud-init", "password", "fail",
        {"/etc/cloud/cloud.cfg.d/96-x.cfg": "password: s3cret\n"}),
    row("cloud-init-state", "instance-state", "fail",
        {"/var/lib/cloud/instances/i-1/user-data.txt": "#cloud-config\n"}),
    row("cloud-init-state", "instance-state", "fail",
        {"/var/lib/cloud/data/instance-id": "i-1\n"}),
    row("first-boot-scripts", "not-executable", "fail",
        {"/var/lib/cloud/scripts/per-instance/002_x": File("#!/bin/sh\n", mode=0o644)}),
    row("first-boot-scripts", "no-number", "warn",
        {"/var/lib/cloud/scripts/per-instance/setup": SCRIPT}),
    row("first-boot-scripts", "no-interpreter", "fail",
        {"/var/lib/cloud/scripts/per-boot/003_x": File("#!/usr/bin/nope\n", mode=0o755)}),
    row("first-login", "missing", "fail", {"/root/.bashrc": Add("/opt/vendor/wizard\n")}),
    row("first-login", "runs-again", "warn", {
        "/opt/vendor/hello": SCRIPT, "/root/.bashrc": Add("/opt/vendor/hello\n")}),
    # the provider
    row("do-agent", "agent-directory", "fail", {"/opt/digitalocean/bin/do-agent": "x\n"}),
    row("do-agent", "agent-directory", "fail", {"/var/opt/digitalocean/do-agent/x": "x\n"}),
    row("do-agent", "agent-repository", "fail",
        {"/etc/apt/sources.list.d/droplet-agent.list": "# deb x\n"}),
    row("do-features", "ipv6", "warn", {
        "/etc/network/interfaces.d/x":
            "iface eth0 inet6 static\n address 2a03:b0c0:1:d0::1/64\n"}),
    row("motd", "missing", "warn", {"/etc/update-motd.d/99-image-readme": None,
                                    "/etc/motd": ""}, alone=True),
    row("motd", "not-executable", "warn",
        {"/etc/update-motd.d/99-other": File("#!/bin/sh\n", mode=0o644)}),
    # boot
    row("boot", "no-initrd", "fail", {"/boot/vmlinuz-6.1.0-99-amd64": "MZ"}),
    row("boot", "rescue-target", "fail",
        {"/etc/systemd/system/default.target": Link("/lib/systemd/system/rescue.target")}),
    row("boot", "kernel-parameter", "fail",
        {"/etc/default/grub": 'GRUB_CMDLINE_LINUX="single"\n'}),
    row("fstab", "missing", "fail",
        {"/etc/fstab": Add("/dev/disk/by-id/scsi-0DO_Volume_x /data ext4 defaults 0 2\n")}),
    row("fstab", "network", "warn", {"/etc/fstab": Add("nas:/x /mnt nfs defaults 0 0\n")}),
    row("reboot-required", "reboot-required", "warn", {"/run/reboot-required": "*** now ***\n"}),
    # distribution and packages
    row("os-release", "unsupported-release", "fail", {
        "/etc/os-release": 'ID=debian\nVERSION_ID="8"\nPRETTY_NAME="Debian 8"\n'},
        "os-lifecycle", "repositories", "security-updates", alone=True),
    row("os-lifecycle", "end-of-life", "warn", {
        "/etc/os-release": 'ID=debian\nVERSION_ID="10"\nPRETTY_NAME="Debian 10"\n'},
        "os-release", "repositories", "security-updates", alone=True),
    row("security-updates", "security-update-pending", "fail", older(with_security_update),
        "package-updates", "repositories", "cloud-init", "ssh-server"),
    row("package-updates", "update-pending", "warn", older(lambda tree: "cron"), "repositories"),
    row("package-state", "held", "warn", command("apt-mark", "hold", "logrotate"),
        alone=True),  # apt-mark rewrites the status file, "old" version and all
    row("package-state", "not-installed-whole", "fail", {"/var/lib/dpkg/status": Edit(
        r"(?<=^Package: logrotate\n)Status: install ok installed",
        "Status: install ok half-configured")}, "security-updates", "package-updates",
        alone=True),
    row("repositories", "unsigned-repository", "fail", {
        "/etc/apt/sources.list.d/x.list": "deb [trusted=yes] http://apt.example.org stable main\n"},
        "security-updates", "package-updates", alone=True),  # without an index: undecided
    row("repositories", "third-party-repository", "warn", {
        "/etc/apt/sources.list.d/y.list": "deb https://apt.example.com stable main\n"},
        "security-updates", "package-updates", alone=True),
    row("repositories", "no-security-repository", "fail",
        {"/etc/apt/sources.list": Edit(r"^deb .*-security.*$", "")}, "security-updates",
        alone=True),
    # the firewall
    row("firewall", "not-enabled", "fail",
        {"/etc/ufw/ufw.conf": Edit("^ENABLED=yes", "ENABLED=no")}, alone=True),
    row("firewall", "ssh-blocked", "fail",
        {"/etc/ufw/user.rules": Edit("^(### tuple|-A ufw-user-input).*\n", "")}, alone=True),
    row("firewall", "lets-everything-in", "fail",
        {"/etc/default/ufw": Edit("^DEFAULT_INPUT_POLICY=.*", 'DEFAULT_INPUT_POLICY="ACCEPT"')},
        alone=True),
)
# Found by its own test below, since only a running kernel can tell.
LIVE_ONLY = {"disk-size"}


@cache
def _baseline(tree: Path) -> Checked:
    return running.check(tree, "--no-refresh")


def _gist(result: dict[str, Any]) -> tuple[str, set[tuple[str, str, str]]]:
    return result["status"], {(finding["code"], finding["status"], finding["message"])
                              for finding in result["findings"]}


def _name(one: Row) -> str:
    return f"{one.check}:{one.code}"


@pytest.mark.parametrize("one", ROWS, ids=_name)
def test_each_fault_alone_is_found_and_changes_nothing_else(
    clean_tree: Tree, pristine_clean: Tree, one: Row
) -> None:
    before = _baseline(pristine_clean("bookworm"))
    top = clean_tree("bookworm")
    one.apply(top)
    after = running.check(top, "--no-refresh")
    found = {(finding["code"], finding["status"]) for finding in after.of(one.check)["findings"]}
    assert (one.code, one.status) in found
    assert after.code == (1 if one.status == "fail" else after.code)
    others = [after.of(result["id"]) for result in before.report["checks"]
              if result["id"] != one.check and result["id"] not in one.also
              and _gist(result) != _gist(after.of(result["id"]))]
    assert others == []


def test_all_faults_together_are_found_on_every_release(clean_tree: Tree, suite: str) -> None:
    top = clean_tree(suite)
    rows = [one for one in ROWS if not one.alone]
    for one in rows:
        one.apply(top)
    outcome = running.check(top, "--no-refresh")
    missed = {(one.check, one.code, one.status) for one in rows} - outcome.found()
    assert missed == set()
    assert outcome.code == 1


def test_a_large_disk_is_found(booted_clean: Tree) -> None:
    top = booted_clean("bookworm")
    subprocess.run(["mount", "-o", "remount,size=200g", str(top.parent / "space")], check=True)
    result = running.check_inside(top, "--no-refresh", network=False).of("disk-size")
    assert [finding["code"] for finding in result["findings"]] == ["larger-than-needed"]


def test_every_check_has_a_fault_here(clean_tree: Tree) -> None:
    known = {result["id"] for result in
             running.check(clean_tree("bookworm"), "--no-refresh").report["checks"]}
    assert {one.check for one in ROWS} | LIVE_ONLY == known
