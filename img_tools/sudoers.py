"""Who may become root through sudo without a password, read as sudoers(5) has it.

The files are read, `sudo -l` is never run: it is a program of the image and answers for one user.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from img_tools.model import Undecided
from img_tools.rootfs import RootFS

SUDOERS = "/etc/sudoers"
MAX_DEPTH = 128  # nested includes, sudoers(5)
MAX_FILES = 1000
FILE_LIMIT = 1 << 20  # bytes

_INCLUDE = re.compile(r"[@#](include|includedir)\s+(\S.*)")
_ALIAS = re.compile(r"(User|Runas|Host|Cmnd|Cmd)_Alias\s+(.*)")
_DEFAULTS = re.compile(r"Defaults(?::(\S+))?\s(.*)")
# What may stand before a command: another host's list, options, tags.
_BEFORE = re.compile(r"(?:.*\s:\s*\S+\s*=)?\s*(?:[A-Z_]+=\S+\s+)*((?:[A-Z_]+\s*:(?!:)\s*)*)")


@dataclass(frozen=True, slots=True)
class Grant:
    """`who` ("deploy", "%wheel", "ALL") may run every command without a password."""

    who: str
    path: str
    line: int


def read(root: RootFS) -> tuple[Grant, ...]:
    """Every grant of all commands without a password. Raises Undecided for endless includes."""
    lines = list(_lines(root, SUDOERS, 0, [])) if root.exists(SUDOERS) else []
    users, commands = _Aliases(), _Aliases()
    for _, _, text in lines:
        if match := _ALIAS.match(text):
            {"User": users, "Cmnd": commands, "Cmd": commands}.get(
                match[1], _Aliases()).add(match[2])
    grants = []
    for path, number, text in lines:
        if not _ALIAS.match(text):
            for who in _passwordless(text, commands):
                grants += [Grant(name, path, number) for name in users.expand(who)]
    return tuple(dict.fromkeys(grants))


def _lines(root: RootFS, path: str, depth: int, seen: list[str]) -> Iterator[tuple[str, int, str]]:
    """(file, line, text) of everything in PATH and what it includes, continuations joined."""
    seen.append(path)
    if depth > MAX_DEPTH or len(seen) > MAX_FILES:
        raise Undecided(f"{path}: too many files include each other in {SUDOERS}")
    pending, start = "", 0
    for number, line in enumerate(root.read_text(path, FILE_LIMIT).split("\n"), 1):
        start = start if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        text, pending = (pending + line).strip(), ""
        if match := _INCLUDE.match(text):
            for name in _included(root, path, match[1], match[2].strip('"')):
                yield from _lines(root, name, depth + 1, seen)
        elif text and not re.match(r"#(?!-?\d)", text):  # "#1000 ALL=..." is a user id
            yield path, start, re.sub(r"\s#(?!-?\d).*", "", text)


def _included(root: RootFS, path: str, kind: str, target: str) -> list[str]:
    where = target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target}"
    if kind == "include":
        return [where] if root.exists(where) else []
    # sudoers(5): names with a dot or ending in ~ are passed over, which spares package leftovers.
    return [f"{where}/{name}" for name in root.listdir(where)
            if "." not in name and not name.endswith("~") and root.is_file(f"{where}/{name}")]


class _Aliases:
    """Aliases of one kind: NAME = item, item : OTHER = ..."""

    def __init__(self) -> None:
        self._items: dict[str, list[str]] = {}

    def add(self, text: str) -> None:
        for definition in re.split(r"\s:\s|(?<=\w):(?=\s*[A-Z]\w*\s*=)", text):
            name, _, items = definition.partition("=")
            self._items.setdefault(name.strip(), []).extend(_split(items))

    def expand(self, name: str) -> list[str]:
        """What NAME stands for, itself when it is no alias; a loop ends where it closes."""
        done: set[str] = set()
        pending, found = [name], []
        while pending:
            item = pending.pop(0)
            if item not in self._items:
                found.append(item)
            elif item not in done:
                done.add(item)
                pending += self._items[item]
        return found


def _passwordless(text: str, commands: _Aliases) -> Iterator[str]:
    """The users to whom the line TEXT gives all commands without a password."""
    if match := _DEFAULTS.match(text):
        # !authenticate asks nobody for a password; who may run what is said elsewhere.
        if re.search(r"!\s*authenticate\b", match[2]):
            yield from _split(match[1]) if match[1] else ["ALL"]
        return
    who, _, spec = text.partition("=")
    if not spec or not who.strip() or text.startswith("Defaults"):
        return
    if _runs_all(spec, commands):
        # The last word before "=" is the host list; a list may have blanks around its commas.
        words = re.sub(r"\s*,\s*", ",", who.strip()).rsplit(None, 1)[0]
        yield from _split(words)


def _runs_all(spec: str, commands: _Aliases) -> bool:
    """True when SPEC, what follows `=`, allows ALL under NOPASSWD; a tag holds until its opposite.

    `: host = ...` begins another host's list (sudoers(5)); each is judged the same way.
    """
    nopasswd = False
    for item in _split(re.sub(r"\([^)]*\)", " ", spec)):
        before = _BEFORE.match(item)
        tags = before[1] if before else ""
        for tag in re.findall(r"[A-Z_]+", tags):
            nopasswd = {"NOPASSWD": True, "PASSWD": False}.get(tag, nopasswd)
        command = item[before.end():] if before else item
        if nopasswd and "ALL" in commands.expand(command.strip()):
            return True
    return False


def _split(text: str) -> list[str]:
    return [item.strip().strip('"') for item in text.split(",") if item.strip()]
