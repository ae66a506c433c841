"""What dpkg's own files say: packages and their states, interrupted runs, who holds the lock."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from img_tools.model import Undecided, printable
from img_tools.packages import Installed, files
from img_tools.rootfs import RootFS

STATUS = "/var/lib/dpkg/status"
JOURNAL = "/var/lib/dpkg/updates"  # what a running dpkg has done since it last wrote STATUS
INFO = "/var/lib/dpkg/info"
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
APT_LOCKS = ("/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock")

_FIELD = re.compile(r"^(Package|Status|Version|Architecture): *(.*?) *$", re.M)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")


def packages(root: RootFS) -> tuple[Installed, ...]:
    """Every package of every architecture that is on the disk.

    Raises Undecided for a database that cannot be one: nothing must look like "no packages".
    """
    found: dict[tuple[str, str], Installed | None] = {}
    for text in _databases(root):
        for stanza in text.split("\n\n"):
            fields = dict(_FIELD.findall(stanza))
            if fields:
                package = _package(fields)
                found[fields.get("Package", ""), fields.get("Architecture", "")] = package
    present = tuple(package for package in found.values() if package)
    if not present:
        raise Undecided(f"{STATUS} is missing or empty: no package is known")
    return present


def _databases(root: RootFS) -> Iterator[str]:
    try:
        yield root.read_text(STATUS)
    except FileNotFoundError:
        return
    for path in journal(root):
        yield root.read_text(path)


def journal(root: RootFS) -> list[str]:
    """Files of a run that has not ended or was interrupted, oldest first."""
    return [f"{JOURNAL}/{name}" for name in root.listdir(JOURNAL) if name.isdecimal()]


def _package(fields: dict[str, str]) -> Installed | None:
    name, status = fields.get("Package", ""), fields.get("Status", "").split()
    if not _NAME.fullmatch(name) or len(status) != 3:
        raise Undecided(f"{STATUS} is damaged: the entry of "
                        f"{printable(name) or 'a package without a name'} makes no sense; "
                        "/var/backups may hold an older copy")
    want, flag, state = status
    if state in ("not-installed", "config-files"):
        return None
    return Installed(name, fields.get("Version", ""), fields.get("Architecture", ""),
                     "reinst-required" if flag != "ok" else state, want == "hold")


_CONFFILE = re.compile(r"^ (/.*) ([0-9a-f]{32})(?: obsolete)?$", re.M)
_SUM = re.compile(r"^([0-9a-f]{32})  (.+)$", re.M)


def unmodified(root: RootFS, paths: Collection[str]) -> frozenset[str]:
    """Those of PATHS that a package brought and nobody has changed.

    By the MD5 sums that packages come with, and dpkg's of configuration files. Debian's /lib is
    /usr/lib by now, where packages still say /lib.
    """
    wanted = {name: path for path in paths for name in (path, path.removeprefix("/usr"))}
    sums = [(name, digest) for text in _databases(root)
            for name, digest in _CONFFILE.findall(text) if name in wanted]
    for name in root.listdir(INFO):
        if name.endswith(".md5sums"):
            text = root.read_text(f"{INFO}/{name}")
            sums += [(f"/{path}", digest) for digest, path in _SUM.findall(text)
                     if f"/{path}" in wanted]
    return frozenset(wanted[name] for name, digest in sums
                     if files.digest(root, wanted[name], "md5") == digest)
