"""The free space of xfs that bulk claims do not get: what each allocation group keeps for itself.

Which blocks these are is nobody's choice, and they are always the same ones. But how many they
are is only counted, so they can be exchanged. Freed blocks are not handed out again before the log
is written; a hole in a file is filled from what is free next to what lies before it. So a hole is
made behind the neighbour of such blocks, as much is given back in the same group, and the hole is
filled.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from img_tools.erase import ioctls
from img_tools.erase.claim import PIECE, ROUNDS, File
from img_tools.erase.device import Unsafe
from img_tools.erase.ioctls import Extent, Strange
from img_tools.erase.ranges import Ranges
from img_tools.erase.sparse import Sparse
from img_tools.erase.volume import Volume

SPARE = 1 << 20  # bytes given back beyond what is claimed: the map of the file may grow
GIVERS = 8  # pieces that give for one that is wanted
MOST = 50_000  # extents of the claim that are looked at


def exchange(claim: Sparse, volume: Volume, clean: Callable[[], bool]) -> None:
    """Claim what is still dirty by way of exchange, in rounds until CLEAN."""
    group, _ = ioctls.xfs_sizes(volume.fd)
    for _ in range(2 * ROUNDS):
        if clean():
            return
        dirty = claim.only or Ranges()
        wanted = [(start, end) for start, end in volume.extents()
                  if next(dirty.within(start, end), None)]
        held = sorted(_held(claim), key=lambda piece: piece.extent.place)
        _Round(claim, group, held).run(wanted)


@dataclass(frozen=True, slots=True)
class _Piece:
    """An extent of FILE."""

    file: File
    extent: Extent

    @property
    def end(self) -> int:
        """Where it ends on the device."""
        return self.extent.place + self.extent.length


def _held(claim: Sparse) -> Iterator[_Piece]:
    count = 0
    try:
        for file in claim.files:
            for extent in ioctls.fiemap(file.fd, 0, file.size):
                count += 1
                if count > MOST:
                    return
                yield _Piece(file, extent)
    except Strange as strange:
        raise Unsafe(str(strange)) from None


class _Round:
    """One attempt for each free extent; HELD is as the round began, so each piece serves once."""

    def __init__(self, claim: Sparse, group: int, held: list[_Piece]) -> None:
        self._claim = claim
        self._group = group
        self._held = held
        self._places = [piece.extent.place for piece in held]

    def run(self, wanted: list[tuple[int, int]]) -> None:
        """Try to get WANTED, which ascend; of those with one neighbour the nearest first.

        Else what is given next to a far one would be taken again, round after round.
        """
        for group, parts in groupby(wanted, key=lambda part: part[0] // self._group):
            low = bisect_right(self._places, group * self._group - 1)
            high = bisect_right(self._places, (group + 1) * self._group - 1)
            donors = sorted((self._able(number), number) for number in range(low, high))
            first = self._places[low] if low < high else 0
            for start, end in sorted(parts, key=lambda part: abs(part[0] - first)):
                self._exchange(start, end, range(low, high), donors)

    def _exchange(
        self, start: int, end: int, numbers: range, donors: list[tuple[int, int]]
    ) -> None:
        """Try to get START to END with the pieces NUMBERS; DONORS are those not used yet."""
        number = bisect_right(self._places, start) - 1
        before = number >= numbers.start
        if not before:
            number += 1
        if number not in numbers or not self._take(donors, number):
            return
        given = list(self._given(donors, min(end - start, PIECE)))
        length = sum(size for _, _, size in given)
        if not length:  # it gives of its own, but not its end
            piece = self._held[number]
            length = min(end - start, PIECE, (piece.extent.length // 3 - SPARE) // 4096 * 4096)
            given = [(piece, piece.extent.offset + length, length)]
        if length > 0:
            self._swap(self._held[number], given, length, before)

    def _given(
        self, donors: list[tuple[int, int]], length: int
    ) -> Iterator[tuple[_Piece, int, int]]:
        """(piece, offset, bytes) of what DONORS give, LENGTH in sum if they can.

        The smallest that has as much, or some of the largest. There may be thousands of both donors
        and wanted pieces, so only a few are looked at.
        """
        for _ in range(GIVERS):
            place = bisect_left(donors, (length, 0))
            if not length or not donors or donors[-1][0] <= 0:
                return
            able, number = donors.pop(min(place, len(donors) - 1))
            piece = self._held[number]
            yield piece, piece.extent.offset, min(able, length)
            length -= min(able, length)

    def _take(self, donors: list[tuple[int, int]], number: int) -> bool:
        """Take the piece NUMBER out of DONORS; whether it was there."""
        own = self._able(number), number
        place = bisect_left(donors, own)
        there = donors[place:place + 1] == [own]
        if there:
            del donors[place]
        return there

    def _able(self, number: int) -> int:
        """Bytes that a piece can give."""
        return (self._held[number].extent.length - SPARE) // 4096 * 4096

    def _swap(
        self, neighbour: _Piece, given: list[tuple[_Piece, int, int]], length: int, before: bool
    ) -> None:
        """Give back what is GIVEN, LENGTH bytes, and as much behind NEIGHBOUR is claimed anew.

        Or before it, when it does not lie BEFORE what is wanted; the hole is three times as large
        then, or xfs would take what lies before it for nearer.
        """
        extent = neighbour.extent
        hole = extent.offset + extent.length if before else extent.offset - length
        start, end = hole if before else hole - 2 * length, hole + length
        if start < 0:
            return
        with contextlib.suppress(OSError):
            for piece, offset, size in given:
                ioctls.punch(piece.file.fd, offset, size + SPARE)
            ioctls.punch(neighbour.file.fd, start, end - start)
            self._claim.refill(neighbour.file, hole, length)
