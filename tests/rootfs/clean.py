"""Makes a freshly built tree publishable, by hand, with the image's own commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.rootfs.planting import plant, remove
from tests.support import File

MOTD = """#!/bin/sh
echo 'Welcome to the image of the tests.'
"""
FIRST_BOOT = """#!/bin/sh
echo 'first boot of the image of the tests'
"""


def clean(tree: Path) -> Path:
    """Leave nothing in TREE that img-check has a word to say against; returns TREE.

    There is no kernel in it: one is half a gigabyte, and /boot is asked about by its own tests.
    """
    chroot(tree, "ufw", "allow", "OpenSSH")
    chroot(tree, "sed", "-i", "s/^ENABLED=no/ENABLED=yes/", "/etc/ufw/ufw.conf")
    chroot(tree, "apt-get", "clean")
    for pattern in ("etc/ssh/ssh_host_*", "var/log/**/*.log", "var/log/**/*.xz", "etc/*.dpkg-old",
                    "etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-",
                    "etc/subgid-", "run/ufw.lock", "var/cache/debconf/*-old",
                    "var/lib/dpkg/*-old"):
        for path in tree.glob(pattern):
            remove(bytes(path))
    for name in ("faillog", "lastlog", "wtmp", "btmp"):
        if (tree / "var/log" / name).exists():
            (tree / "var/log" / name).write_bytes(b"")
    plant(tree, {
        "/etc/machine-id": "",
        "/etc/update-motd.d/99-image-readme": File(MOTD, mode=0o755),
        "/var/lib/cloud/scripts/per-instance/001_onboot": File(FIRST_BOOT, mode=0o755),
    })
    return tree


def chroot(tree: Path, *argv: str) -> str:
    """Output of ARGV run in TREE, in a network of its own: ufw must not reach our firewall."""
    done = subprocess.run(
        ["unshare", "--net", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
         "DEBIAN_FRONTEND=noninteractive", "chroot", str(tree), *argv],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout
