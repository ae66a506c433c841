"""Programs that root's first login starts: the lines of /root/.bashrc beyond the stock ones."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import basename

from img_tools import scripts
from img_tools.model import Undecided
from img_tools.rootfs import RootFS

BASHRC, SKEL = "/root/.bashrc", "/etc/skel/.bashrc"
STOCK = (SKEL, "/usr/share/base-files/dot.bashrc")  # the latter is Debian's for root
LONGEST = 10_000  # characters of a line; the time that shlex takes grows with their square
_SHELLS = frozenset({"bash", "sh", "dash", "zsh", "python3", "perl"})
_COMMANDS = re.compile(r"/(usr/)?(s?bin|games|lib)/")  # the distribution's, at every login
_PREFIXES = frozenset({"exec", "sudo", "then", "else", "do", "nohup", "time", "if", "!", "eval"})
_BREAKS = re.compile(r"&&|\|\||;|\|")
_RESTORES = re.compile(r"^(?!\s*#).*\.bashrc", re.M)
_COPIES_SKEL = re.compile(r"^(?!\s*#)(?=.*\bcp\b).*/etc/skel/\.bashrc", re.M)


@dataclass(frozen=True, slots=True)
class Hook:
    """A program that a line of .bashrc runs, whether there is such a file or not.

    `direct` is true when the kernel starts it, so that its mode and its `#!` line matter.
    """

    path: str
    line: int
    direct: bool

    @staticmethod
    def restores(text: str) -> bool:
        """True when a script with TEXT changes .bashrc in some way."""
        return bool(_RESTORES.search(text))

    @staticmethod
    def copies_skel(text: str) -> bool:
        """True when a script with TEXT puts the standard .bashrc back, as it is documented."""
        return bool(_COPIES_SKEL.search(text))


def read(root: RootFS) -> tuple[Hook, ...]:
    """Every program that /root/.bashrc runs by its full path; of two lines the last counts.

    What it only sources counts when that puts .bashrc back. Raises Undecided for an endless line.
    """
    return tuple({hook.path: hook for hook in _hooks(root)}.values())


def _hooks(root: RootFS) -> Iterator[Hook]:
    chmodded: set[str] = set()
    tested: set[str] = set()
    for number, words in _commands(root):
        if words[0] == "chmod":
            chmodded.update(words[1:])
        elif words[0] in ("[", "[[", "test"):
            tested.update(words[1:])
        elif found := _program(words):
            path, direct = found
            if path in tested and not root.stat(path):
                continue
            if words[0] in (".", "source") and not _copies_skel(root, path):
                continue
            yield Hook(path, number, direct and path not in chmodded)


def _copies_skel(root: RootFS, path: str) -> bool:
    script = scripts.read(root, path)
    return bool(script and script.text and Hook.copies_skel(script.text))


def _commands(root: RootFS) -> Iterator[tuple[int, list[str]]]:
    """(line, words) of every simple command that a new account's .bashrc does not have."""
    stock = {line.strip() for path in STOCK for line in root.read_lines(path)}
    for number, line in enumerate(root.read_lines(BASHRC), 1):
        if line.strip() in stock:
            continue
        if len(line) > LONGEST:
            raise Undecided(f"line {number} of {BASHRC} has over {LONGEST} characters")
        for command in _BREAKS.split(line):
            try:
                words = shlex.split(command, comments=True)
            except ValueError:  # a quote that spans lines or commands
                continue
            while words and (words[0] in _PREFIXES or re.match(r"\w+=", words[0])):
                del words[0]
            if words:
                yield number, words


def _program(words: list[str]) -> tuple[str, bool] | None:
    """The file that a command runs or sources, and whether the kernel starts it."""
    if words[0] in (".", "source"):
        path = _absolute(words[1:2])
        return (path, False) if path else None
    if basename(words[0]) in _SHELLS:
        path = _absolute([word for word in words[1:] if not word.startswith("-")])
        return (path, False) if path and "-c" not in words else None
    path = _absolute(words[:1])
    return (path, True) if path and not _COMMANDS.match(path) else None


def _absolute(words: list[str]) -> str | None:
    """The first of WORDS as a path from the root on, None when it is none."""
    path = re.sub(r"^(~|\$HOME|\$\{HOME\})(?=/)", "/root", words[0]) if words else ""
    return path if path.startswith("/") and not set(path) & set("$*?`(){}<>") else None
