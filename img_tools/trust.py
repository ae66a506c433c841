"""Whether a file may be believed that decides what root runs or how an image is judged."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator


def objection(path: str) -> str | None:
    """Why others than root could have written or replaced PATH, and the remedy; None if not.

    All directories above count, those of the path as given and those where its links lead; a
    sticky one (/tmp) is safe above, since there nobody can replace what belongs to root. Raises
    OSError when it cannot be looked at.
    """
    named = "/" + os.path.abspath(path).lstrip("/")  # POSIX keeps a double slash
    real = os.path.realpath(path)
    for place in dict.fromkeys([named, *_above(named), real, *_above(real)]):
        found = os.lstat(place)
        loose = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(found.st_mode)
        if place not in (named, real) and found.st_mode & stat.S_ISVTX:
            loose = 0
        if found.st_uid != 0 or loose:
            mend = f"chown -h root {shlex.quote(place)}; chmod go-w {shlex.quote(place)}"
            where = "" if place == path else f"{place} "
            return f"{where}must belong to root and be writable by root alone ({mend})"
    return None


def _above(path: str) -> Iterator[str]:
    while path != "/":
        path = os.path.dirname(path)
        yield path
