"""Ranges of a device in little memory: a dirty terabyte must not cost a gigabyte."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

GAP = 32 << 10  # bytes; less between two ranges costs more to leave out than to write
MOST = 500_000  # ranges kept: 8 MB


class Ranges:
    """Half-open ranges [start, end) of bytes, ascending and disjoint.

    What is nearer than `gap` bytes is one range. When there are too many the gap is doubled: more
    is covered then than was added, which costs writes and is never wrong.
    """

    def __init__(self, gap: int = GAP, most: int = MOST) -> None:
        self._gap = gap
        self._most = most
        self._starts = array("Q")
        self._ends = array("Q")

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    @property
    def size(self) -> int:
        """Bytes covered."""
        return sum(self._ends) - sum(self._starts)

    def add(self, start: int, end: int) -> None:
        """Cover START to END; START is not below that of any range before."""
        if self._ends and start <= self._ends[-1] + self._gap:
            self._ends[-1] = max(self._ends[-1], end)
            return
        self._starts.append(start)
        self._ends.append(end)
        if len(self._starts) > self._most:
            self._coarsen()

    def _coarsen(self) -> None:
        while len(self._starts) > self._most // 2:
            self._gap = max(2 * self._gap, 4096)
            starts, ends = array("Q"), array("Q")
            for start, end in self:
                if ends and start <= ends[-1] + self._gap:
                    ends[-1] = end
                else:
                    starts.append(start)
                    ends.append(end)
            self._starts, self._ends = starts, ends

    def within(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts of START to END that are covered."""
        number = max(0, bisect_right(self._starts, start) - 1)
        while number < len(self._starts) and self._starts[number] < end:
            low, high = max(start, self._starts[number]), min(end, self._ends[number])
            if low < high:
                yield low, high
            number += 1


def merged(parts: Iterable[Ranges]) -> Ranges:
    """All of PARTS in one."""
    whole = Ranges()
    for start, end in heapq.merge(*parts):
        whole.add(start, end)
    return whole


def without(ranges: Ranges, holes: Ranges) -> Ranges:
    """RANGES but for HOLES."""
    left = Ranges(gap=0)
    for start, end in ranges:
        for low, high in holes.within(start, end):
            if start < low:
                left.add(start, low)
            start = high
        if start < end:
            left.add(start, end)
    return left


def to_verify(
    extents: Iterable[tuple[int, int]], seen: Ranges, piece: int, share: int
) -> Iterator[tuple[int, int]]:
    """Of EXTENTS, which ascend, what was not SEEN, and one PIECE of SHARE of what was."""
    for start, end in extents:
        for low, high in seen.within(start, end):
            if start < low:
                yield start, low
            for place in range(low // piece * piece, high, piece):
                if place // piece % share == 0:
                    yield max(place, low), min(place + piece, high)
            start = high
        if start < end:
            yield start, end
