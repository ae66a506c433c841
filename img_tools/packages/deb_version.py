"""The order of Debian package versions (deb-version(7))."""

from __future__ import annotations

import re
from functools import total_ordering

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")


@total_ordering
class DebVersion:
    """A version that compares as dpkg compares it; any text is accepted."""

    def __init__(self, text: str) -> None:
        epoch, colon, rest = text.strip().partition(":")
        if not colon or not epoch.isdecimal():
            epoch, rest = "0", text.strip()
        upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
        self._key = (int(epoch), _key(upstream), _key(revision))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebVersion) and self._key == other._key

    def __lt__(self, other: DebVersion) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _key(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """TEXT as pairs of non-digits and a number; the last pair stands for the end of the text."""
    return tuple(((*map(_rank, letters), 0), int(digits or 0))
                 for letters, digits in _PARTS.findall(text))


def _rank(char: str) -> int:
    """`~` sorts before the end of a part (0), letters before everything else."""
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256
