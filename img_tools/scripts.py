"""Whether a script would start, told by reading it.

The rules are the kernel's (execve(2)): an executable file, a `#!` line, an interpreter that exists
in the image. Nothing of the image is run: not even `sh -n`, which only parses but is a program of
the image, knows one language, and does not know whether the commands exist.
"""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from enum import StrEnum

from img_tools.entries import Entry, LinkLoop
from img_tools.rootfs import RootFS
from img_tools.runner import PATH

HEAD = 1 << 20  # bytes read of a script
_ELF = b"\x7fELF"


class Flaw(StrEnum):
    """What keeps a script from running, or makes it dangerous."""

    DANGLING = "dangling-link"
    NOT_A_FILE = "not-a-file"
    NOT_EXECUTABLE = "not-executable"
    EMPTY = "empty"
    NO_SHEBANG = "no-shebang"
    CRLF = "crlf"
    NO_INTERPRETER = "no-interpreter"
    WRITABLE = "writable-by-others"


WHY = {
    Flaw.DANGLING: "is a link to nothing",
    Flaw.NOT_A_FILE: "is not a regular file",
    Flaw.NOT_EXECUTABLE: "is not executable",
    Flaw.EMPTY: "is empty",
    Flaw.NO_SHEBANG: "has no `#!` line, so the kernel cannot start it",
    Flaw.CRLF: "has DOS line ends (CR LF): the kernel looks for an interpreter of that name",
    Flaw.NO_INTERPRETER: "names an interpreter that is not in the image",
    Flaw.WRITABLE: "can be changed by other users than root, and runs as root",
}


@dataclass(frozen=True, slots=True)
class Script:
    """A script at `path`; `text` is its first megabyte, None for a program or when unread.

    `interpreter` is what the `#!` line names, of `env` what env starts.
    """

    path: str
    entry: Entry
    flaws: tuple[Flaw, ...]
    interpreter: str | None = None
    text: str | None = None

    def why(self, flaw: Flaw) -> str:
        """What FLAW means here, to follow the path in a sentence."""
        if flaw is Flaw.NO_INTERPRETER:
            return f"needs {self.interpreter}, which is not in the image"
        return WHY[flaw]

    def fix(self, flaw: Flaw) -> str:
        """The command that mends FLAW, or what to do."""
        path = shlex.quote(self.path)
        return {
            Flaw.NOT_EXECUTABLE: f"chmod 755 {path}",
            Flaw.WRITABLE: f"chown root: {path} && chmod go-w {path}",
            Flaw.CRLF: f"sed -i 's/\\r$//' {path}",
            Flaw.NO_SHEBANG: f"make `#!/bin/bash` (or what it is written for) the first line "
                             f"of {path}",
            Flaw.NO_INTERPRETER: "install it, or correct the first line of the script",
        }.get(flaw, f"replace or remove {path}")


def read(root: RootFS, path: str) -> Script | None:
    """The script at PATH and what is wrong with it; None when there is nothing at all.

    Raises Unreadable when it cannot be told.
    """
    link = root.stat(path)
    if link is None:
        return None
    try:
        entry = root.stat(path, follow=True)
    except LinkLoop:
        entry = None
    if entry is None:
        return Script(path, link, (Flaw.DANGLING,))
    if not entry.is_file:
        return Script(path, entry, (Flaw.NOT_A_FILE,))
    flaws = [] if entry.executable else [Flaw.NOT_EXECUTABLE]
    if entry.uid != 0 or entry.mode & (stat.S_IWGRP | stat.S_IWOTH):
        flaws.append(Flaw.WRITABLE)
    head = root.read_bytes(path, HEAD, head=True)
    if head.startswith(_ELF):
        return Script(path, entry, tuple(flaws))
    text = head.decode("utf-8", "surrogateescape")
    interpreter: str | None = None
    if not head.strip():
        flaws.append(Flaw.EMPTY)
    elif not head.startswith(b"#!"):
        flaws.append(Flaw.NO_SHEBANG)
    else:
        first = text.split("\n", 1)[0]
        interpreter = _interpreter(first[2:].strip())
        if first.endswith("\r"):
            flaws.append(Flaw.CRLF)
        elif _missing(root, first[2:].strip(), interpreter):
            flaws.append(Flaw.NO_INTERPRETER)
    return Script(path, entry, tuple(flaws), interpreter, text)


def _interpreter(line: str) -> str:
    """The program that a `#!` line names; behind env(1) the one that env starts."""
    words = line.split()
    if words and os.path.basename(words[0]) == "env":
        for word in words[1:]:
            if not word.startswith("-") and "=" not in word:
                return word
    return words[0] if words else "a program"


def _missing(root: RootFS, line: str, interpreter: str) -> bool:
    """True when the kernel finds no program, for which it searches no PATH, or env finds none."""
    return not (line.startswith("/") and _starts(root, line.split()[0])
                and _starts(root, interpreter))


def _starts(root: RootFS, program: str) -> bool:
    places = [program] if "/" in program else [f"{place}/{program}" for place in PATH.split(":")]
    found = [root.stat(place, follow=True) for place in places if place.startswith("/")]
    return any(entry is not None and entry.executable for entry in found)
