"""How dnf 4, dnf 5 and yum 3 are spoken to: one command, one set of words each, as data.

Options that keep the image as it is come first: no plugin (they write, and hide what versionlock
holds), and every directory that is written to below a private one, `{top}`.
"""

from __future__ import annotations

from dataclasses import dataclass

from img_tools.model import Undecided
from img_tools.rootfs import RootFS


@dataclass(frozen=True, slots=True)
class Dialect:
    """One program; `name` is for people.

    `cache` and `state` are the directories of the image that private copies are made of. `fresh` is
    an option of every repository that makes it ask the server; `json` says that answers are JSON
    and the exit code says nothing of updates; `at_once` that one process answers several commands,
    which saves starting Python and loading the metadata for each.
    """

    name: str
    command: str
    cache: str
    state: str
    options: tuple[str, ...]
    check: tuple[str, ...]
    advisories: tuple[str, ...]
    extras: tuple[str, ...]
    unneeded: tuple[str, ...]
    refresh: tuple[str, ...] = ("--refresh",)
    fresh: str = ""
    json: bool = False
    at_once: bool = False


# A held or excluded package is seen all the same, and what replaces a package is no update of it.
_COMMON = ("--setopt=obsoletes=0", "--setopt=timeout=10", "--setopt=retries=2")
_PAIR = "%{name}.%{arch}\\n"

DNF4 = Dialect(
    "dnf 4", "dnf", "/var/cache/dnf", "/var/lib/dnf",
    ("-q", "--noplugins", "--disableexcludes=all", "--setopt=cachedir={top}/cache",
     "--setopt=persistdir={top}/state", "--setopt=logdir={top}/log", *_COMMON),
    ("check-update",), ("updateinfo", "list", "--security"),
    ("repoquery", "--extras", "--qf", _PAIR),
    ("--disablerepo=*", "repoquery", "--unneeded", "--qf", _PAIR), at_once=True,
)
DNF5 = Dialect(
    "dnf 5", "dnf5", "/var/cache/libdnf5", "/usr/lib/sysimage/libdnf5",
    ("-q", "--no-plugins", "--setopt=disable_excludes=*", "--setopt=cachedir={top}/cache",
     "--setopt=system_cachedir={top}/cache", "--setopt=system_state_dir={top}/state",
     "--setopt=persistdir={top}/state", "--setopt=logdir={top}/log", *_COMMON),
    ("check-upgrade", "--json"), ("advisory", "list", "--security", "--json"),
    ("repoquery", "--extras", "--qf", _PAIR),
    ("--disable-repo=*", "repoquery", "--unneeded", "--qf", _PAIR), json=True,
)
YUM3 = Dialect(
    "yum 3", "yum", "/var/cache/yum", "/var/lib/yum",
    ("-q", "--noplugins", "--disableexcludes=all",
     "--setopt=cachedir={top}/cache/$basearch/$releasever", "--setopt=persistdir={top}/state",
     "--setopt=logfile={top}/log/yum.log", "--setopt=history_record=0", *_COMMON),
    ("check-update",), ("updateinfo", "list", "security"), ("list", "extras"), (),
    refresh=(), fresh="metadata_expire=1",
)


def find(root: RootFS) -> Dialect:
    """The one that the image has. On EL 8 and later yum is a link to dnf, on Fedora dnf is dnf5."""
    if root.is_file("/usr/bin/yum") and root.resolve("/usr/bin/yum") == root.resolve("/usr/bin/yum",
                                                                                     follow=False):
        return YUM3
    for command in ("/usr/bin/dnf", "/usr/bin/yum", "/usr/bin/dnf5"):
        if root.is_file(command):
            return DNF5 if root.resolve(command).endswith("dnf5") else DNF4
    raise Undecided("neither dnf nor yum is in the image: updates cannot be judged")
