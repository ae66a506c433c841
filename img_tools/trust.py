"""Whether a file may be believed that decides what root runs or how an image is judged."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator

MOST_LINKS = 40  # as the kernel has it


def objection(path: str) -> str | None:
    """Why others than root could have written or replaced PATH, and the remedy; None if not.

    All directories above count, those of the path as given, of every link on the way and of where
    they lead: whoever can turn one of them may do so after this look. A sticky one (/tmp) is safe
    above, since there nobody can replace what belongs to root. Raises OSError when it cannot be
    looked at.
    """
    named = "/" + os.path.abspath(path).lstrip("/")  # POSIX keeps a double slash
    real = os.path.realpath(path)
    for place in dict.fromkeys([*_passed(named), real, *_above(real)]):
        found = os.lstat(place)
        loose = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(found.st_mode)
        if place not in (named, real) and found.st_mode & stat.S_ISVTX:
            loose = 0
        if found.st_uid != 0 or loose:
            mend = f"chown -h root {shlex.quote(place)}; chmod go-w {shlex.quote(place)}"
            where = "" if place == path else f"{place} "
            return f"{where}must belong to root and be writable by root alone ({mend})"
    return None


def _passed(path: str) -> Iterator[str]:
    """PATH and what is above it, and the same of all links among those."""
    left, links = [path], 0
    while left:
        way = left.pop()
        for place in (way, *_above(way)):
            yield place
            if os.path.islink(place):
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                left.append(os.path.join(os.path.dirname(place), os.readlink(place)))


def _above(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)
        yield path
