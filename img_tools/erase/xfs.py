"""The free space of xfs that bulk claims do not get: what each allocation group keeps for itself.

Which blocks these are is nobody's choice, and they are always the same ones. But how many they
are is only counted, so they can be exchanged. Freed blocks are not handed out again before the log
is written; a hole in a file is filled from what is free next to what lies before it. So a hole is
made behind the neighbour of such blocks, as much is given back in the same group, and the hole is
filled.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right, insort
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
    """One attempt for each free extent; HELD is as the round began."""

    def __init__(self, claim: Sparse, group: int, held: list[_Piece]) -> None:
        self._claim = claim
        self._group = group
        self._held = held
        self._places = [piece.extent.place for piece in held]

    def run(self, wanted: list[tuple[int, int]]) -> None:
        """Try to get WANTED, which ascend."""
        for group, parts in groupby(wanted, key=lambda part: part[0] // self._group):
            low = bisect_right(self._places, group * self._group - 1)
            high = bisect_right(self._places, (group + 1) * self._group - 1)
            if low < high:
                self._run(range(low, high), list(parts))

    def _run(self, numbers: range, wanted: list[tuple[int, int]]) -> None:
        """Try to get WANTED with the pieces NUMBERS of the same group."""
        low = numbers.start
        chains = [(number, list(near)) for number, near in groupby(
            wanted, key=lambda part: bisect_right(self._places, part[0]) - 1)]
        # A neighbour gives nothing: then what it gave would lie between it and what is wanted.
        neighbours = {max(number, low) for number, _ in chains}
        donors = sorted((self._held[number].extent.length, number) for number in numbers
                        if number not in neighbours)
        with contextlib.suppress(OSError):
            self._free(self._given(donors, SPARE))
        for number, near in chains:
            if number < low:
                self._chain(low, near[::-1], donors, before=False)
            else:
                self._chain(number, near, donors, before=True)

    def _chain(
        self, number: int, wanted: list[tuple[int, int]], donors: list[tuple[int, int]], *,
        before: bool
    ) -> None:
        """Try to get WANTED, the nearest first: each is next to the piece NUMBER or to the last."""
        piece = self._held[number]
        for start, end in wanted:
            given = self._given(donors, min(end - start, PIECE))
            length = sum(size for _, _, size in given)
            if not length:  # it gives of its own, but neither its start nor its end
                third = (piece.extent.length // 3 - SPARE) // 4096 * 4096
                length = min(end - start, PIECE, third)
                given = [(piece, piece.extent.offset + length, length + SPARE)]
            got = self._swap(piece, given, length, before=before) if length > 0 else None
            if not got or not start <= got.extent.place < end:
                return
            piece = got

    def _given(
        self, donors: list[tuple[int, int]], length: int
    ) -> list[tuple[_Piece, int, int]]:
        """(piece, offset, bytes) of what the largest of DONORS give, LENGTH in sum if they can.

        Each of DONORS is (bytes, number) and gives from its start; what is left of it stays there.
        """
        given: list[tuple[_Piece, int, int]] = []
        while length and donors and len(given) < GIVERS:
            left, number = donors.pop()
            size = min(left, length)
            piece = self._held[number]
            given.append((piece, piece.extent.offset + piece.extent.length - left, size))
            if left > size:
                insort(donors, (left - size, number))
            length -= size
        return given

    def _free(self, given: list[tuple[_Piece, int, int]]) -> None:
        for piece, offset, size in given:
            ioctls.punch(piece.file.fd, offset, size)

    def _swap(
        self, neighbour: _Piece, given: list[tuple[_Piece, int, int]], length: int, *,
        before: bool
    ) -> _Piece | None:
        """Give back what is GIVEN, LENGTH bytes, and as much behind NEIGHBOUR is claimed anew.

        Or before it, when it does not lie BEFORE what is wanted; the hole is three times as large
        then, or xfs would take what lies before it for nearer. Returns the far end of what it got.
        """
        extent, file = neighbour.extent, neighbour.file
        hole = extent.offset + extent.length if before else extent.offset - length
        start, end = hole if before else hole - 2 * length, hole + length
        if start < 0:
            return None
        try:
            self._free(given)
            ioctls.punch(file.fd, start, end - start)
            self._claim.refill(file, hole, length)
            got = list(ioctls.fiemap(file.fd, hole, length))
        except (OSError, Strange):
            return None
        return _Piece(file, got[-1 if before else 0]) if got else None
