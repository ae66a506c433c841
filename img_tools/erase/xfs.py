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
MOST = 50_000  # extents of the claim that are looked at


def exchange(claim: Sparse, volume: Volume, clean: Callable[[], bool]) -> None:
    """Claim what is still dirty by way of exchange, in rounds until CLEAN."""
    group = ioctls.xfs_group_size(volume.fd)
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
        self._used: set[int] = set()

    def run(self, wanted: list[tuple[int, int]]) -> None:
        """Try to get WANTED, which ascend."""
        for group, parts in groupby(wanted, key=lambda part: part[0] // self._group):
            low = bisect_right(self._places, group * self._group - 1)
            high = bisect_right(self._places, (group + 1) * self._group - 1)
            donors = sorted((self._able(number), number) for number in range(low, high))
            for start, end in parts:
                if not donors:
                    break
                self._exchange(start, end, range(low, high), donors)

    def _exchange(
        self, start: int, end: int, numbers: range, donors: list[tuple[int, int]]
    ) -> None:
        """Try to get START to END with the pieces NUMBERS; DONORS are those not used yet."""
        number = bisect_right(self._places, start) - 1
        before = number >= numbers.start
        if not before:
            number += 1
        if number in self._used or number not in numbers:
            return
        most, donor = self._donor(donors, end - start, number)
        length = min(end - start, PIECE, most) // 65536 * 65536 or min(end - start, most)
        if length > 0:
            for one in {number, donor}:
                self._used.add(one)
                del donors[bisect_left(donors, (self._able(one), one))]
            self._swap(self._held[number], self._held[donor], length, before)

    def _donor(
        self, donors: list[tuple[int, int]], length: int, neighbour: int
    ) -> tuple[int, int]:
        """What one of DONORS can give: the smallest that has LENGTH, or the largest.

        There may be thousands of both donors and wanted pieces, so only a few are looked at.
        """
        place = bisect_left(donors, (length, 0))
        near = [one for one in donors[max(0, place - 2):place + 2] if one[1] != neighbour]
        near.append((self._able(neighbour, third=True), neighbour))
        enough = [one for one in near if one[0] >= length]
        return min(enough) if enough else max(near)

    def _able(self, number: int, *, third: bool = False) -> int:
        """Bytes that a piece can give; of the neighbour itself the end must stay."""
        length = self._held[number].extent.length
        return ((length // 3 if third else length) - SPARE) // 4096 * 4096

    def _swap(self, neighbour: _Piece, donor: _Piece, length: int, before: bool) -> None:
        """Make a hole behind NEIGHBOUR, or before it when it does not lie BEFORE what is wanted.

        That one is three times as large, or xfs would take what lies before it for nearer.
        """
        extent = neighbour.extent
        hole = extent.offset + extent.length if before else extent.offset - length
        start, end = hole if before else hole - 2 * length, hole + length
        if start < 0:
            return
        with contextlib.suppress(OSError):
            ioctls.punch(donor.file.fd, donor.extent.offset + length * (donor is neighbour),
                         length + SPARE)
            ioctls.punch(neighbour.file.fd, start, end - start)
            self._claim.refill(neighbour.file, hole, length)
