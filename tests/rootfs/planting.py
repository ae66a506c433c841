"""Puts things into a tree, hostile ones too, without ever following a link out of it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from img_tools.rootfs import RootFS
from tests.support import Fifo, File, Link


@dataclass(frozen=True)
class Socket:
    """A socket nobody listens on."""


@dataclass(frozen=True)
class Device:
    """The character device /dev/zero: what reads it never comes to an end."""


@dataclass(frozen=True)
class Add:
    """TEXT at the end of what is there."""

    text: str


@dataclass(frozen=True)
class Edit:
    """NEW for every OLD (a regular expression, ^ and $ are ends of lines) in what is there."""

    old: str
    new: str


def plant(tree: Path, files: Mapping[str, object]) -> None:
    """Make FILES in TREE in place of what is there.

    str or bytes is content, {} a directory, None nothing; else Add, Edit, File, Link, Fifo, Socket
    or Device. Directories above come into being, links above are followed within the tree.
    """
    for name, what in files.items():
        place(tree, name, what)


def place(tree: Path, name: str, what: object) -> None:
    """Make WHAT at NAME; see plant()."""
    above, _, last = name.rpartition("/")
    directory = os.fsencode(RootFS(str(tree)).host_path(above or "/"))
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, os.fsencode(last))
    if isinstance(what, Add | Edit):
        _change(path, what)
        return
    remove(path)
    match what:
        case None:
            pass
        case dict():
            os.mkdir(path)
        case Link(target):
            os.symlink(target, path)
        case Fifo():
            os.mkfifo(path)
        case Device():
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
        case Socket():
            _socket(directory, path)
        case _:
            _file(path, what if isinstance(what, File) else File(what))  # type: ignore[arg-type]


def _change(path: bytes, what: Add | Edit) -> None:
    if isinstance(what, Add):
        with open(path, "ab") as file:
            file.write(what.text.encode())
        return
    with open(path, "r+", encoding="utf-8", errors="surrogateescape") as file:
        text, count = re.subn(what.old, what.new, file.read(), flags=re.M)
        assert count, f"{what.old!r} is not in {os.fsdecode(path)}"
        file.seek(0)
        file.truncate()
        file.write(text)


def remove(path: bytes) -> None:
    """Remove the name PATH and, if it is a directory, what is below."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _socket(directory: bytes, path: bytes) -> None:
    """Bind it under a short name: the address of a socket is 107 bytes at most."""
    here = os.getcwd()
    os.chdir(directory)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.basename(path))
    finally:
        os.chdir(here)


def _file(path: bytes, what: File) -> None:
    content = what.content.encode("utf-8", "surrogateescape") if isinstance(
        what.content, str) else what.content
    # Through a link it would be a file of this machine that is written and loses its mode.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        if what.size is not None:
            file.truncate(what.size)
        os.fchmod(fd, what.mode)


def crowd(tree: Path, count: int) -> None:
    """COUNT small files below /home, /srv and /var/log: 20 accounts, an application, its logs."""
    users = [f"user{number}" for number in range(20)]
    with open(tree / "etc/passwd", "a") as file:
        file.writelines(f"{name}:x:{2000 + number}:{2000 + number}::/home/{name}:/bin/bash\n"
                        for number, name in enumerate(users))
    tops = [*(f"home/{name}" for name in users), *["srv/app"] * 20, *["var/log/app"] * 10]
    for number in range(count):
        top = tops[number % len(tops)]
        directory = tree / top / f"d{number // 5000}" / f"e{number // 500 % 10}"
        if number % 500 < len(tops):
            directory.mkdir(parents=True, exist_ok=True)
        name = f"f{number}" + (".log" if top.startswith("var") else ".py")
        (directory / name).write_text("x = 1\n")
