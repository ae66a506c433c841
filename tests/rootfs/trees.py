"""Real Debian trees: built once and cached, lent out as disposable copies, listed and compared.

A tree is the outcome of a recipe (a shell script) and is cached under the hash of its text, so a
changed recipe is a new tree and an interrupted build is never used. The cache is IMG_TOOLS_TREES or
~/.cache/img-tools/trees.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

SUITES = ("bullseye", "bookworm", "trixie")
KINDS = ("stale", "current")
MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
PACKAGES = ("cloud-init", "openssh-server", "ufw", "rsyslog", "systemd-sysv", "iproute2",
            "ca-certificates", "dbus", "cron", "logrotate", "iptables")
# Debian's own rpm, dnf and firewalld make a system that is like EL to all who do not ask for dpkg.
EL = ("rpm", "firewalld", "netbase", "cloud-init", "openssh-server", "rsyslog", "systemd-sysv",
      "iproute2", "ca-certificates", "dbus", "cron", "logrotate", "procps", "sudo", "nftables")
SERVER = (*PACKAGES, "nginx", "unattended-upgrades", "libpam-systemd", "python3")
# What people install on a server: no false alarm may come of it.
SERVERS = (*PACKAGES, "apache2", "bind9", "certbot", "docker.io", "dovecot-imapd", "fail2ban",
           "git", "haproxy", "mariadb-server", "memcached", "mosquitto", "nginx", "nodejs",
           "openvpn", "php-fpm", "postfix", "postgresql", "prometheus", "python3-pip",
           "rabbitmq-server", "redis-server", "samba", "varnish", "wireguard-tools")
BUILD_TIME = 900  # seconds for one tree; about 40 with a near mirror
KEPT_DAYS = 7  # trees of other recipes, such as last week's, are removed after that

# "stale" is what the release shipped with its point updates; "current" has the security updates
# as well, hence the state of the archive in its recipe. "server" boots and has more services,
# "servers" has two dozen. "dnf4" and "dnf5" are EL-like: see el.py.
RECIPES = {
    "stale": f"""
        mmdebstrap --quiet --variant=minbase --components=main --include={','.join(PACKAGES)} \\
            SUITE "$1" "deb {MIRROR} SUITE main" </dev/null
    """,
    "server": f"""
        mmdebstrap --quiet --variant=minbase --components=main --include={','.join(SERVER)} \\
            SUITE "$1" "deb {MIRROR} SUITE main" </dev/null
    """,
    "servers": f"""
        mmdebstrap --quiet --variant=minbase --components=main --include={','.join(SERVERS)} \\
            --aptopt='Apt::Install-Recommends "false"' SUITE "$1" \\
            "deb {MIRROR} SUITE main" </dev/null
    """,
    "current": f"""
        # ARCHIVE
        cp -a --reflink=auto STALE "$1"
        printf '%s\\n' \\
            'deb {MIRROR} SUITE main' \\
            'deb {MIRROR} SUITE-updates main' \\
            'deb {SECURITY} SUITE-security main' > "$1/etc/apt/sources.list"
        cat /etc/resolv.conf > "$1/etc/resolv.conf"
        export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
        chroot "$1" apt-get update
        chroot "$1" apt-get -y -o Dpkg::Options::=--force-confold dist-upgrade
    """,
}
for _kind, _packages in (("dnf4", (*EL, "dnf")), ("dnf5", ("rpm", "dnf5", "netbase"))):
    RECIPES[_kind] = f"""
        mmdebstrap --quiet --variant=minbase --components=main --include={','.join(_packages)} \\
            --aptopt='Acquire::Check-Valid-Until "false"' SUITE "$1" \\
            "deb {MIRROR} SUITE main" </dev/null
        cd "$1"
        rm -rf etc/apt var/lib/apt var/cache/apt var/lib/dpkg usr/bin/apt* usr/bin/dpkg* \\
            etc/debian_version etc/os-release usr/lib/os-release etc/update-motd.d etc/motd \\
            var/log/* var/backups/* etc/*- etc/cron.daily/*dpkg* etc/cron.daily/apt*
        mkdir -p etc/rpm etc/yum.repos.d etc/pki/rpm-gpg srv/repos var/lib/rpm var/log
        echo '%_dbpath /var/lib/rpm' > etc/rpm/macros
        [ ! -e usr/bin/dnf-3 ] || ln -sf dnf-3 usr/bin/yum
        : > etc/fstab
    """


class Unavailable(Exception):
    """What is needed to build or lend out a tree is not here; the text says what."""


# -- building ----------------------------------------------------------------------------------


def store() -> Path:
    """The directory of the cache, made if need be."""
    path = Path(os.environ.get("IMG_TOOLS_TREES") or
                Path.home() / ".cache" / "img-tools" / "trees").absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def demand() -> None:
    """Raise Unavailable unless trees can be built and mounted here."""
    if os.geteuid() != 0:
        raise Unavailable("needs root: chroot and mount")
    for tool in ("mmdebstrap", "chroot", "mount", "unshare"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is not installed")


def pristine(suite: str, kind: str = "current") -> Path:
    """The cached tree of SUITE and KIND, built if it is not there; nobody may write to it."""
    recipe = RECIPES[kind].replace("SUITE", suite)
    if "ARCHIVE" in recipe:
        recipe = recipe.replace("ARCHIVE", _archive(suite))
    if "STALE" in recipe:
        recipe = recipe.replace("STALE", str(pristine(suite, "stale")))
    name = f"{suite}-{kind}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    tree = store() / name
    _use(name)
    if not tree.is_dir():
        with open(store() / f"{name}.build", "w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # one builds, others wait
            if not tree.is_dir():
                _forget_old(f"{suite}-{kind}-", keep=name)
                _build(recipe, tree)
    return tree


@cache
def _use(name: str) -> None:
    """Hold the lock of NAME shared until this process ends: who clears up passes it over."""
    path = store() / f"{name}.lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(fd, fcntl.LOCK_SH)
    os.utime(path)


@cache
def _archive(suite: str) -> str:
    """A hash of what the mirror has for SUITE now. The day would not do: a mirror gets a security
    update at any hour, and a tree of that morning would then fail as it should."""
    state = hashlib.sha256()
    for place in (f"{MIRROR}/dists/{suite}", f"{MIRROR}/dists/{suite}-updates",
                  f"{SECURITY}/dists/{suite}-security"):
        with urllib.request.urlopen(f"{place}/InRelease", timeout=60) as release:
            state.update(b"".join(line for line in release if b"/binary-" in line))
    return state.hexdigest()


def _build(recipe: str, tree: Path) -> None:
    draft = tree.with_name(f"{tree.name}.partial")
    _remove(draft)  # of a build that was killed; we hold the lock
    for last in (False, True):
        done = subprocess.run(
            ["sh", "-euc", recipe, "sh", str(draft)], timeout=BUILD_TIME, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        if done.returncode == 0:
            draft.rename(tree)
            return
        _remove(draft)
        if last:
            raise RuntimeError(f"building {tree.name} failed:\n{done.stdout[-3000:]}")


def _forget_old(prefix: str, keep: str) -> None:
    horizon = time.time() - KEPT_DAYS * 86400
    for lock in store().glob(f"{prefix}*.lock"):
        name = lock.name.removesuffix(".lock")
        if name == keep or lock.stat().st_mtime > horizon:
            continue
        with lock.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # in use
            _remove(store() / name)


def _remove(tree: Path) -> None:
    subprocess.run(["rm", "-rf", "--one-file-system", str(tree)], check=True)


# -- lending out -------------------------------------------------------------------------------


def own_mounts() -> None:
    """Give this process mounts of its own, which vanish with it however it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newns = 0x00020000  # os.unshare came with Python 3.12
    if libc.unshare(clone_newns) != 0:
        code = ctypes.get_errno()
        raise Unavailable(f"cannot make a mount namespace: {os.strerror(code)}")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@contextlib.contextmanager
def copy(source: Path, place: Path) -> Iterator[Path]:
    """A copy of SOURCE to write to, below the directory PLACE; gone at the end.

    An overlay whose upper half is a tmpfs, or a real copy where the kernel has no overlayfs.
    """
    space, top = place / "space", place / "tree"
    space.mkdir()
    top.mkdir()
    mount("-t", "tmpfs", "-o", "mode=0755,size=20g", "tmpfs", str(space))
    try:
        (space / "upper").mkdir()
        (space / "work").mkdir()
        overlay = f"lowerdir={source},upperdir={space}/upper,workdir={space}/work"
        try:
            mount("-t", "overlay", "-o", overlay, "overlay", str(top))
        except subprocess.CalledProcessError:
            subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", str(top)], check=True)
        yield top
    finally:
        for path in (top, space):
            if os.path.ismount(path):
                unmount(path)
        _remove(top)


def mount(*args: str) -> None:
    """mount(8), its complaints kept for the exception."""
    subprocess.run(["mount", *args], check=True, capture_output=True, text=True)


def unmount(path: Path) -> None:
    """Unmount PATH now, whoever still holds something open there."""
    subprocess.run(["umount", "--lazy", "--recursive", str(path)], check=True)


# -- comparing ---------------------------------------------------------------------------------

Facts = tuple[Any, ...]


def manifest(top: Path) -> dict[bytes, Facts]:
    """Every name below TOP, TOP too, and all of it that a change would show in, but content times.

    Type and mode, owner, links, size, mtime in ns, device number, extended attributes, link target
    or SHA-256. Not atime (reading changes it) and not ctime (nothing can put it back).
    """
    listed: dict[bytes, Facts] = {}
    base = os.fsencode(top)
    pending = [b""]
    while pending:
        name = pending.pop()
        path = base + name
        found = os.lstat(path)
        listed[name or b"/"] = _facts(path, found)
        if stat.S_ISDIR(found.st_mode):
            pending += [name + b"/" + child for child in os.listdir(path)]
    return listed


def _facts(path: bytes, found: os.stat_result) -> Facts:
    kind = stat.S_IFMT(found.st_mode)
    size, links, content = found.st_size, found.st_nlink, b""
    if kind == stat.S_IFLNK:
        content = os.readlink(path)
    elif kind == stat.S_IFREG:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    elif kind == stat.S_IFDIR:
        size = links = 0  # size depends on the names it ever had; an overlay counts no links
    names = sorted(os.listxattr(path, follow_symlinks=False))
    attributes = tuple((key, os.getxattr(path, key, follow_symlinks=False)) for key in names)
    return (oct(found.st_mode), found.st_uid, found.st_gid, size, found.st_mtime_ns, found.st_rdev,
            links, attributes, content)


def differences(before: dict[bytes, Facts], after: dict[bytes, Facts]) -> list[str]:
    """One line for every name that came, went or changed."""
    lines = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was != now:
            word = "new" if was is None else "gone" if now is None else f"{was} -> {now}"
            lines.append(f"{os.fsdecode(name)}: {word}")
    return lines
