"""A tree with every leftover there is, and img-clean run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from img_tools.catalogue import CATALOGUE, Treat
from tests import residues, ssh
from tests.rootfs import debrepo, trees
from tests.rootfs.clean import chroot
from tests.rootfs.planting import Add, plant
from tests.support import File, Link

PATIENCE = 900  # seconds
HASH = "$6$saltsalt$" + "q1W2e3R4" * 10 + "abcdef"
SCRIPT = File("#!/bin/sh\nexit 0\n", mode=0o755)
PROGRAM = Path(sys.executable).with_name("img-clean")
PACKAGES = "package-upgrade,package-cache"

# What a vendor ships, and what a cleaner must never touch.
PAYLOAD: dict[str, object] = {
    "/opt/acme/bin/start": SCRIPT, "/opt/acme/.env": "PORT=80\n", "/etc/acme.conf": "a = 1\n",
    "/etc/cloud/cloud.cfg.d/90_acme.cfg": "manage_etc_hosts: true\n",
    "/etc/skel/.bashrc.d/acme": "alias x=y\n", "/var/lib/acme/state": "seeded\n",
    "/var/lib/cloud/scripts/per-instance/002_acme": SCRIPT,
    "/var/lib/cloud/scripts/per-boot/002_check": SCRIPT,
    "/var/lib/cloud/scripts/per-once/003_once": SCRIPT,
    "/etc/cron.d/acme": "0 * * * * root true\n", "/var/cache/acme/index": "built\n",
    "/etc/netplan/01-acme.yaml": "network: {version: 2}\n",
    "/root/deploy.sh": SCRIPT, "/srv/anna/site/index.html": "<p>",
    "/srv/anna/log": Link("/var/log"),
    "/usr/local/bin/core": SCRIPT, "/opt/acme/tmp/x.log.1": "kept", "/srv/anna/mail/new/1": "kept",
}
ACCOUNTS = ("anna:x:1500:1500::/srv/anna:/bin/bash\nberta:x:1501:1501::/home/berta:/bin/bash\n"
            "do-agent:x:1502:1502::/nonexistent:/bin/false\n")
TRACES: dict[str, object] = {
    "/srv/anna/.bash_history": "secret", "/home/berta/.mysql_history": "secret",
    "/home/berta/.ssh/authorized_keys": ssh.ED25519 + "\n", "/home/berta/.ssh/id_x": ssh.openssh(),
    "/srv/anna/.ssh/more": "x", "/var/backups/shadow.bak": f"root:{HASH}:1:0:9:7:::\n",
    "/root/.ssh/known_hosts": "x y z\n", "/root/.ssh/authorized_keys": ssh.ED25519 + "\n",
    "/etc/shadow-": f"root:{HASH}:1:0:9:7:::\n", "/etc/passwd-": ACCOUNTS,
    "/etc/group-": "anna:x:1500:\n", "/etc/gshadow-": f"anna:{HASH}::\n",
    "/etc/security/opasswd": f"anna:1500:1:{HASH}\n",
    "/etc/sudoers.d/90-cloud-init-users": File("debian ALL=(ALL) NOPASSWD:ALL\n", mode=0o440),
}


def residue_files(without: str = "") -> dict[str, object]:
    """An example of everything that a cleaner removes or empties, but for the topic WITHOUT."""
    files: dict[str, object] = {}
    for row in CATALOGUE:
        if row.treat is Treat.REPORT or row.kind == "empty" or row.topic == without:
            continue
        files = {**residues.example(row), **files}
    above = {os.path.dirname(path) for path in files}
    return {f"{path}/log" if path in above else path: what for path, what in files.items()}


def soil(tree: Path, packages: Path | None = None) -> None:
    """Plant everything in TREE: payload, leftovers, accounts; the agent's package with PACKAGES."""
    plant(tree, PAYLOAD)
    if packages:
        agent = debrepo.build_deb(packages, "do-agent", "3.16")
        plant(tree, {"/opt/do-agent.deb": agent.read_bytes()})
        chroot(tree, "dpkg", "-i", "/opt/do-agent.deb")
        plant(tree, {"/opt/do-agent.deb": None})
    plant(tree, {"/etc/passwd": Add(ACCOUNTS), "/etc/shadow": Add(
        "anna:!:1:0:9:7:::\nberta:!:1:0:9:7:::\ndo-agent:!:1:0:9:7:::\n"),
        "/etc/group": Add("anna:x:1500:\nberta:x:1501:\ndo-agent:x:1502:\n")})
    plant(tree, residue_files())
    plant(tree, TRACES)


def holds(top: Path, path: str) -> bool:
    """Whether anything is left at PATH: content, or entries of a directory."""
    try:
        return os.lstat(f"{top}{path}").st_size > 0
    except FileNotFoundError:
        return False


def img_clean(tree: Path, *args: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """The report of img-clean on TREE, which ended with one of CODES."""
    done = subprocess.run(
        [PROGRAM, "--root", tree, "--format", "json", *args], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode in codes, done.stdout[-3000:] + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def failures(report: dict[str, Any]) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Of every cleaner that failed: its message, and paths and errors of the steps that did."""
    return {result["id"]: (result["message"], [
        (step["path"] or " ".join(step["argv"]), step["error"])
        for step in result["actions"] if step["outcome"] == "failed"])
        for result in report["cleaners"] if result["status"] == "failed"}


def planned(tree: Path, *args: str) -> list[str]:
    """The cleaners that would still do something to TREE."""
    report = img_clean(tree, "--dry-run", *args)
    return [result["id"] for result in report["cleaners"] if result["actions"]]


def remarks(report: dict[str, Any]) -> dict[str, list[str]]:
    """Of the check in REPORT: codes of all that did not pass, by check; its status without any."""
    return {result["id"]: sorted({finding["code"] for finding in result["findings"]})
            or [result["status"]]
            for result in report["check"]["checks"] if result["status"] not in ("pass", "skip")}


def files(listed: dict[bytes, trees.Facts]) -> dict[bytes, trees.Facts]:
    """LISTED without directories (their times tell that something in them went)."""
    return {name: facts for name, facts in listed.items() if not facts[0].startswith("0o4")}


def inode(path: Path) -> tuple[int, ...]:
    """What stays of a log that is emptied in place."""
    found = os.lstat(path)
    return (found.st_ino, found.st_uid, found.st_gid, found.st_mode)
