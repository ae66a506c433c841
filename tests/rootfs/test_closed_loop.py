"""Everything the catalogue knows is planted on every release; one run of img-clean takes it away,
and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from img_tools.catalogue import CATALOGUE, Treat
from tests import residues, ssh
from tests.rootfs import debrepo, trees
from tests.rootfs.clean import chroot
from tests.rootfs.conftest import Tree
from tests.rootfs.planting import Add, Edit, plant
from tests.support import File, Link

PATIENCE = 900  # seconds
HASH = "$6$saltsalt$" + "q1W2e3R4" * 10 + "abcdef"
SCRIPT = File("#!/bin/sh\nexit 0\n", mode=0o755)
REMARKS = {row.code for row in CATALOGUE if row.treat is Treat.REPORT}
TOPICS = {row.topic for row in CATALOGUE} - {"package-cache"}  # that test skips the cleaner
PACKAGES = "package-upgrade,package-cache"

# What a vendor ships, and what a cleaner must never touch.
PAYLOAD = {
    "/opt/acme/bin/start": SCRIPT, "/opt/acme/.env": "PORT=80\n", "/etc/acme.conf.bak": "a = 1\n",
    "/etc/cloud/cloud.cfg.d/90_acme.cfg": "manage_etc_hosts: true\n",
    "/root/.bashrc": "alias x=y\n",
    "/var/lib/cloud/scripts/per-instance/001_onboot": SCRIPT,
    "/var/lib/cloud/scripts/per-boot/002_check": SCRIPT,
    "/etc/cron.d/acme": "0 * * * * root true\n",
    "/var/spool/cron/crontabs/root": File("0 * * * * true\n", mode=0o600),
    "/etc/netplan/01-acme.yaml": "network: {version: 2}\n", "/root/notes~": "the only copy",
    "/root/.profile": "umask 022\n", "/root/deploy.sh": SCRIPT,
    "/srv/anna/site/index.html": "<p>", "/srv/anna/keys": "no key at all",
}
ACCOUNTS = ("anna:x:1500:1500::/srv/anna:/bin/bash\nberta:x:1501:1501::/home/berta:/bin/bash\n"
            "do-agent:x:1502:1502::/nonexistent:/bin/false\n")
TRACES = {
    "/srv/anna/.bash_history": "secret", "/home/berta/.mysql_history": "secret",
    "/home/berta/.ssh/authorized_keys": ssh.ED25519 + "\n", "/home/berta/.ssh/id_x": ssh.openssh(),
    "/srv/anna/.ssh/more": "x", "/etc/shadow-": f"root:{HASH}:1:0:9:7:::\n",
    "/var/backups/shadow.bak": f"root:{HASH}:1:0:9:7:::\n", "/root/.ssh/known_hosts": "x y z\n",
    "/root/.ssh/authorized_keys": ssh.ED25519 + "\n",
}


def img_clean(tree: Path, *args: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """The report of img-clean on TREE."""
    done = subprocess.run(
        [Path(sys.executable).with_name("img-clean"), "--root", tree, "--format", "json", *args],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode in codes, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def failures(report: dict[str, Any]) -> list[Any]:
    return [(result["id"], result["message"],
             [step for step in result["actions"] if step["outcome"] == "failed"])
            for result in report["cleaners"] if result["status"] == "failed"]


def build(tree: Path) -> set[str]:
    """Plant everything in TREE; returns the paths of what is to go or to change."""
    plant(tree, PAYLOAD)
    payload = set(trees.manifest(tree))
    files: dict[str, object] = {}
    for row in CATALOGUE:
        for path, what in residues.example(row).items():
            if row.topic in TOPICS and row.treat is not Treat.REPORT and not (
                    row.kind == "empty" or path in files):
                files[path] = what
    plant(tree, {**TRACES, **files, "/etc/passwd": Add(ACCOUNTS),
                 "/etc/group": Add("anna:x:1500:\nberta:x:1501:\ndo-agent:x:1502:\n")})
    plant(tree, {"/etc/shadow": Add("anna:!:1:0:9:7:::\nberta:!:1:0:9:7:::\n"
                                    "do-agent:!:1:0:9:7:::\n")})
    hostile = {"/home/mallory/.ssh": Link("/etc"), "/home/norma/.ssh": Link("/home/berta/.ssh"),
               "/home/mallory/.bash_history": Link("/etc/hostname")}
    plant(tree, hostile)
    return {os.fsdecode(name) for name in set(trees.manifest(tree)) - payload}


def open_logs(tree: Path) -> dict[Path, tuple[int, ...]]:
    """A log directory as nginx has it, and others' logs, with what must not change of them."""
    plant(tree, {"/var/log/nginx/access.log": File("GET /", mode=0o640),
                 "/var/log/nginx/error.log": File("x", mode=0o640),
                 "/var/log/auth.log": File("x", mode=0o640),
                 "/var/log/btmp": File("x", mode=0o660)})
    for path in (tree / "var/log/nginx", *(tree / "var/log/nginx").iterdir()):
        os.chown(path, 33, 4)
    os.chmod(tree / "var/log/nginx", 0o755)
    os.chown(tree / "var/log/btmp", 0, 43)
    return {path: _kept(path) for path in (
        *(tree / "var/log/nginx").iterdir(), tree / "var/log/auth.log", tree / "var/log/btmp")}


def _kept(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return (found.st_ino, found.st_uid, found.st_gid, found.st_mode)


def test_all_that_is_planted_goes_and_nothing_else(tree: Tree, suite: str) -> None:
    top = tree(suite)
    chroot(top, "apt-get", "clean")
    before = trees.manifest(top)
    audit = chroot(top, "dpkg", "--audit")
    build(top)
    logs = open_logs(top)
    planted = trees.manifest(top)

    report = img_clean(top, "--yes", "--check", "--skip", PACKAGES, codes=(0, 1, 3))
    assert failures(report) == []
    found = [(result["id"], finding["code"], finding["path"])
             for result in report["check"]["checks"] for finding in result["findings"]
             if result["id"] in TOPICS | {"ssh-keys", "accounts"}
             and finding["code"] not in REMARKS]
    assert [item for item in found if not item[2].startswith("/home/mallory/")
            and item[0] != "accounts"] == []

    again = img_clean(top, "--dry-run", "--skip", PACKAGES)
    assert [result["id"] for result in again["cleaners"] if result["actions"]] == []
    assert chroot(top, "dpkg", "--audit") == audit
    assert {path: _kept(path) for path in logs} == logs
    assert [path for path in logs if path.stat().st_size] == []
    assert (top / "etc/machine-id").is_file()
    assert (top / "etc/machine-id").read_bytes() == b""
    assert not (top / "var/lib/dbus/machine-id").exists()
    assert "do-agent" not in (top / "etc/passwd").read_text()

    after = trees.manifest(top)
    for name in PAYLOAD:
        assert after[os.fsencode(name)] == planted[os.fsencode(name)], name
    unexplained = [line for line in trees.differences(_files(before), _files(after))
                   if not _meant(line)]
    assert unexplained == []


def _files(listed: dict[bytes, trees.Facts]) -> dict[bytes, trees.Facts]:
    """LISTED without directories (their times tell that something in them went)."""
    return {name: facts for name, facts in listed.items() if not facts[0].startswith("0o4")}


MEANT = (
    "/var/account/pacctx: ", "/var/named/data/named.run: ", "/var/mail/x: ",  # planted, now empty
    "/var/log/", "/etc/ssh/ssh_host_", "/etc/machine-id: ", "/var/lib/dbus/machine-id: ",
    "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/subuid", "/etc/subgid",
    "/home/mallory/", "/home/norma/", "/etc/.pwd.lock", "/var/backups/",
    *(f"{name}: " for name in PAYLOAD),
)


def _meant(line: str) -> bool:
    return line.startswith(MEANT) or ".dpkg-" in line


def test_hosts_outside_are_untouched(tree: Tree, tmp_path: Path) -> None:
    """Links to absolute places and out of the tree lead nowhere else."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "log").write_text("mine")
    (outside / ".bash_history").write_text("mine")
    top = tree("bookworm")
    plant(top, {"/var/log/x.log": Link(f"{outside}/log"), "/var/log/up": Link("../" * 30 + "etc"),
                "/tmp/d": Link(str(outside)),
                "/root/.bash_history": Link(f"{outside}/.bash_history"),
                "/var/crash": Link(str(outside)), "/var/lib/cloud/instances": Link(str(outside)),
                "/var/mail": Link(str(outside))})
    mine = trees.manifest(outside)
    report = img_clean(top, "--yes", "--skip", PACKAGES, codes=(0, 1))
    assert report["cleaners"]
    assert trees.manifest(outside) == mine


def test_upgrade_asks_nothing_and_keeps_what_was_changed(tree: Tree, suite: str) -> None:
    top = tree(suite, "stale")
    plant(top, {
        "/etc/apt/sources.list": Add(f"deb {trees.SECURITY} {suite}-security main\n"),
        "/etc/resolv.conf": Path("/etc/resolv.conf").read_text(),
        "/etc/ssh/moduli": Add("# of the vendor\n"), "/etc/rsyslog.conf": Add("# of the vendor\n"),
        "/etc/cloud/cloud.cfg": Add("# of the vendor\n"),
        # As if the maintainers had changed every file as well, so that dpkg has to ask.
        "/var/lib/dpkg/status": Edit(r"^( /etc/\S+ )[0-9a-f]{32}$", r"\g<1>" + "0" * 32),
        "/etc/needrestart/conf.d/ask.conf": "$nrconf{restart} = 'i';\n",
    })
    report = img_clean(top, "--yes", "--only", PACKAGES)
    assert failures(report) == []
    (upgrade,) = (result for result in report["cleaners"] if result["id"] == "package-upgrade")
    assert [action["argv"][-1] for action in upgrade["actions"]] == ["update", "dist-upgrade"]
    if suite != "trixie":  # where none of the pending updates has such a file
        assert [*top.glob("etc/**/*.dpkg-dist")], "no question came up"
    for name in ("etc/ssh/moduli", "etc/rsyslog.conf", "etc/cloud/cloud.cfg"):
        assert (top / name).read_text().endswith("# of the vendor\n")
    assert chroot(top, "dpkg", "--audit") == ""
    assert "Inst " not in chroot(top, "apt-get", "-s", "dist-upgrade")
    again = img_clean(top, "--dry-run", "--only", PACKAGES)
    assert [result["id"] for result in again["cleaners"] if result["actions"]] == []
    assert [pid for pid in os.listdir("/proc") if pid.isdigit() and _root(pid) == str(top)] == []


def _root(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/root")
    except OSError:
        return ""


@pytest.mark.parametrize("kind", ["marker", "network"])
def test_what_nothing_makes_again_stays(tree: Tree, kind: str) -> None:
    top = tree("trixie")
    key = top / "etc/ssh/ssh_host_ed25519_key"
    plant(top, {"/etc/netplan/50-cloud-init.yaml": "network: {}\n", "/var/lib/dhcp/dhclient.leases":
                "lease {}", **({"/etc/cloud/cloud-init.disabled": ""} if kind == "marker" else {
                    "/etc/cloud/cloud.cfg.d/9.cfg": "network: {config: disabled}\n"})})
    report = img_clean(top, "--yes", "--only", "ssh-host-keys,network-leftovers", codes=(1,))
    failed = {name: message for name, message, _ in failures(report)}
    assert (top / "etc/netplan/50-cloud-init.yaml").exists()
    assert not (top / "var/lib/dhcp/dhclient.leases").exists()
    assert "would not write it again" in failed["network-leftovers"]
    if kind == "marker":
        assert key.exists()
        assert "ssh-keygen -A" in failed["ssh-host-keys"]
    else:
        assert set(failed) == {"network-leftovers"}
        assert not key.exists()


def test_packages_that_nothing_needs_go(tree: Tree, tmp_path: Path) -> None:
    top = tree("bookworm")
    package = debrepo.build_deb(tmp_path, "toy", "1")
    plant(top, {"/opt/toy.deb": package.read_bytes()})
    chroot(top, "dpkg", "-i", "/opt/toy.deb")
    chroot(top, "apt-mark", "auto", "toy")
    report = img_clean(top, "--yes", "--only", "package-cache")
    assert failures(report) == []
    assert not (top / "usr/share/toy").exists()
    assert (top / "usr/sbin/sshd").exists()
