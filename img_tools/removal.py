"""Takes img-tools itself out of the image: the last act of `img-clean --self-remove` (row B7)."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator

from img_tools.actions import Action, Phase, Remove, Run, Truncate, Write
from img_tools.host import Host
from img_tools.plugins import SYSTEM_DIR, Plugin
from img_tools.runner import CommandMissing

PACKAGE = "img-tools"
COMMANDS = ("img-check", "img-clean")
LIMIT = 64 << 20  # bytes of a log or of dpkg's database

# How the package managers name us: as a word, in names of files and in front of :amd64.
_NAMED = re.compile(rf"(?<![\w.-]){PACKAGE}(?![a-z]|-[a-z])")
_LINES = re.compile(r"[^\n]*\n|[^\n]+$")
_STANZAS = re.compile(r"\n*(?:[^\n]+(?:\n|$))+")
_SESSIONS = re.compile(r"\n*Log started:.*?\nLog ended:[^\n]*(?:\n|$)|[^\n]*\n|[^\n]+$", re.S)

# What dpkg and apt, or rpm and dnf, write down, and what an entry is there.
_DEBIAN = {"/var/log/dpkg.log": _LINES, "/var/log/apt/history.log": _STANZAS,
           "/var/log/apt/term.log": _SESSIONS, "/var/lib/dpkg/status-old": _STANZAS}
_RED_HAT = dict.fromkeys(("/var/log/dnf.log", "/var/log/dnf.rpm.log", "/var/log/yum.log",
                          "/var/log/dnf.librepo.log", "/var/log/hawkey.log", "/var/log/dnf5.log",
                          "/usr/lib/sysimage/libdnf5/packages.toml",
                          "/usr/lib/sysimage/libdnf5/nevras.toml"), _LINES)
_DEBIAN_CACHES = ("/var/cache/apt/archives/img-tools_*.deb", "/var/cache/apt/pkgcache.bin",
                  "/var/cache/apt/srcpkgcache.bin")  # apt makes its caches anew
_RED_HAT_CACHES = ("/var/cache/dnf/*/packages/img-tools-*.rpm",
                   "/var/cache/libdnf5/*/packages/img-tools-*.rpm",
                   "/var/cache/yum/*/*/*/packages/img-tools-*.rpm",
                   "/var/lib/yum/yumdb/i/*-img-tools-*")

# dnf keeps in its history why each package is there (dnf 4) and how to undo a transaction, so that
# the file must stay. No SQLite comes with us; dnf's own Python has it. VACUUM, since deleted rows
# stay in the file until then.
_PYTHONS = ("/usr/libexec/platform-python", "/usr/bin/python3")
_FORGET = """
import sqlite3
base = sqlite3.connect("{path}")
base.executescript('''
    CREATE TEMP TABLE ours AS SELECT item_id FROM rpm WHERE {ours};
    DELETE FROM trans_item WHERE item_id IN ours;
    DELETE FROM rpm WHERE item_id IN ours;
    DELETE FROM item WHERE id IN ours;
    {more}
    VACUUM;
''')
base.close()
"""
# {history: which packages are ours, and where else we are named}
_HISTORIES = {
    "/var/lib/dnf/history.sqlite": (f"name = '{PACKAGE}'", f"""
    DELETE FROM console_output WHERE line LIKE '%{PACKAGE}%';
    UPDATE trans SET cmdline = '' WHERE cmdline LIKE '%{PACKAGE}%';"""),  # noqa: S608
    "/usr/lib/sysimage/libdnf5/transaction_history.sqlite": (
        f"name_id IN (SELECT id FROM pkg_name WHERE name = '{PACKAGE}')", f"""
    DELETE FROM pkg_name WHERE name = '{PACKAGE}';
    UPDATE trans SET description = '' WHERE description LIKE '%{PACKAGE}%';"""),  # noqa: S608
}


def refusal() -> str | None:
    """Why this program cannot remove itself, and what removes it; None when it can."""
    if getattr(sys, "frozen", False):
        return None
    if "pipx" in sys.prefix.split("/"):
        how = f"pipx uninstall {PACKAGE}"
    elif sys.prefix != sys.base_prefix:
        how = f"rm -rf {shlex.quote(sys.prefix)}"
    else:
        how = f"{shlex.quote(sys.executable)} -m pip uninstall {PACKAGE}"
    return ("--self-remove is for the packages and the single file; this one is installed in a "
            f"Python environment. Without --self-remove, and then: {how}")


def cleaner() -> Plugin:
    """The cleaner after all others; no module in cleaners/, since it has an option of its own."""
    return Plugin(
        id="self-remove", title="Remove img-tools and what tells that it was here", explanation="",
        category="traces", references=(), early=False, verb=plan, source=__name__,
        phase=max(Phase) + 1)


def plan(host: Host) -> Iterator[Action]:
    """Remove the package, or the file when it is none, then the traces of that."""
    program = os.path.realpath(sys.executable)
    if program in _lines(host, f"/var/lib/dpkg/info/{PACKAGE}.list"):
        yield from _without_traces(host, _DEBIAN, Run(
            ("dpkg", "--purge", PACKAGE), "the program is no longer needed",
            env=(("DEBIAN_FRONTEND", "noninteractive"),)))
        yield from _found(host, _DEBIAN_CACHES)
    elif _rpm_owns(host, program):
        yield from _without_traces(host, _RED_HAT, Run(
            ("rpm", "-e", PACKAGE), "the program is no longer needed"))
        yield Run(("rpm", "--rebuilddb"), "deleted records stay in the database until then")
        python = next(filter(host.root.exists, _PYTHONS), None)
        for path, (ours, more) in _HISTORIES.items():
            if python and host.root.is_file(path):
                yield Run((python, "-c", _FORGET.format(path=path, ours=ours, more=more)),
                          "dnf's history tells that img-tools was here")
        yield from _found(host, _RED_HAT_CACHES)
    else:
        links = (os.path.join(os.path.dirname(program), name) for name in COMMANDS)
        for path in (*(link for link in links
                       if link != program and os.path.realpath(link) == program), program):
            yield Remove(path, "the program is no longer needed")
    yield from _found(host, (SYSTEM_DIR,))


def _lines(host: Host, path: str) -> list[str]:
    return host.root.read_lines(path) if host.root.is_file(path) else []


def _rpm_owns(host: Host, program: str) -> bool:
    try:
        found = host.run("rpm", "-qf", "--qf", "%{NAME}\n", program, ok=(0, 1))
    except CommandMissing:
        return False
    return found.code == 0 and PACKAGE in found.stdout.split()


def _found(host: Host, patterns: tuple[str, ...]) -> Iterator[Action]:
    for pattern in patterns:
        for entry in host.root.glob(pattern):
            yield Remove(entry.path, "it tells that img-tools was here")


def _without_traces(
    host: Host, books: dict[str, re.Pattern[str]], removal: Run
) -> Iterator[Action]:
    """REMOVAL, after which each of BOOKS is as it was, less the entries that name us.

    dpkg's backup of its database is the one exception: it is to be the database of now.
    """
    before = {path: _read(host, path) for path in books}
    yield removal
    for path, entry in books.items():
        text, now = before[path], _read(host, path)
        if path.endswith("-old"):
            text = now
        kept = None if text is None else _unnamed(text, entry)
        if kept == now:
            continue
        yield from _restore(host, path, kept)


def _read(host: Host, path: str) -> str | None:
    if not host.root.is_file(path):
        return None
    return host.root.read_text(path, LIMIT)


def _unnamed(text: str, entry: re.Pattern[str]) -> str:
    """TEXT without the entries that name the package."""
    return "".join(part for part in entry.findall(text) if not _NAMED.search(part))


def _restore(host: Host, path: str, content: str | None) -> Iterator[Action]:
    why = "it tells that img-tools was here"
    if content is None:
        yield Remove(path, why)
    elif not content:
        yield Truncate(path, why)
    else:
        found = host.root.stat(path)
        yield Write(path, content, found.mode & 0o7777 if found else 0o644, why)
        if found and (found.uid, found.gid) != (0, 0):
            yield Run(("chown", f"{found.uid}:{found.gid}", path), "its owner reads it")
