"""Free space claimed without a write, looked at while nobody else can get it, and zeroed."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice

from img_tools.erase import ioctls
from img_tools.erase.claim import FULL, LEAST, PIECE, Claim, File
from img_tools.erase.device import (
    THREADS,
    Reader,
    Scan,
    Unsafe,
    Watch,
    Window,
    in_parallel,
    windows,
)
from img_tools.erase.ioctls import Extent, Strange
from img_tools.erase.ranges import Ranges
from img_tools.erase.volume import Volume

MOST = 100_000  # extents that are remembered and listed
_PROOFS = 3
_OFTEN = 8  # times 64 MB, after which it is proved again


class Sparse(Claim):
    """Blocks that are read where the file system says they lie; those not zero are written.

    ONLY is what is looked at: all, if it is None.
    """

    first = 4 * PIECE  # xfs.exchange() needs a hole before the first extent

    def __init__(self, volume: Volume, watch: Watch, only: Ranges | None) -> None:
        super().__init__(volume, watch)
        self.only = only
        self.read = 0
        self._looks = 0
        self._looked = array("Q")  # start and end of each extent that was looked at
        self._lock = threading.Lock()
        self._readers = [Reader(volume.device, volume.unit, probe=True) for _ in range(THREADS)]

    def turn(self) -> None:
        """See Claim."""
        super().turn()
        self._files[-1].seen = self.only is None

    @property
    def files(self) -> tuple[File, ...]:
        """All of them."""
        return tuple(self._files)

    def seen(self) -> Iterator[tuple[int, int]]:
        """What is held on the device and was looked at while it was, in any order.

        btrfs may have moved it since. What cannot be listed has to be looked at once more.
        """
        looked = Ranges(gap=0)
        for start, end in sorted(zip(self._looked[::2], self._looked[1::2], strict=True)):
            looked.add(start, end)
        extents = (extent for file in self._files if file.seen
                   for extent in ioctls.fiemap(file.fd, 0, file.size))
        with contextlib.suppress(Strange, OSError, Unsafe):
            for extent in islice(extents, MOST):
                for piece in self._volume.on_device(extent):
                    yield from looked.within(piece.place, piece.place + piece.length)

    def grow(self, length: int) -> int:
        """See Claim. Raises Unsafe when the blocks are not where the file system says."""
        file = self._files[-1]
        start = file.size
        while length >= LEAST:
            try:
                os.ftruncate(file.fd, start + length)
                ioctls.reserve(file.fd, start, length)
                break
            except OSError as error:
                os.ftruncate(file.fd, start)
                if error.errno not in FULL:
                    raise Unsafe(f"space cannot be claimed: {error.strerror}") from None
                length = length // 2 // 4096 * 4096
        else:
            return 0
        file.size = start + length
        self._look(file, start, length, self.only)
        return length

    def refill(self, file: File, start: int, length: int) -> None:
        """Claim blocks for a hole of FILE. Raises OSError."""
        ioctls.reserve(file.fd, start, length)
        self._look(file, start, length, None)

    def _look(self, file: File, start: int, length: int, only: Ranges | None) -> None:
        """Zero what FILE holds from START on, as far as it is in ONLY and not zero."""
        seen, file.seen = file.seen, False  # if it fails half-way, it was not
        self._treat(file.fd, start, length, only)
        file.seen = seen

    def _treat(self, fd: int, start: int, length: int, only: Ranges | None) -> None:
        held = sorted(self._extents(fd, start, length), key=lambda extent: extent.place)
        if only is not None:
            held = [Extent(extent.offset + low - extent.place, low, high - low)
                    for extent in held
                    for low, high in only.within(extent.place, extent.place + extent.length)]
        if not held:
            return
        if self._looks % _OFTEN == 0:
            self._prove(fd, held, 1 if self._looks else _PROOFS)
        self._looks += 1
        places = [extent.place for extent in held]
        readers = iter(self._readers)

        def worker() -> Callable[[Window], None]:
            reader = next(readers)

            def deal(window: Window) -> None:
                scan = Scan()
                reader.look(window, scan)
                runs = Ranges(gap=0)  # neighbours in the file, wherever they lie
                for extent in sorted(
                        Extent(held[number].offset + low - places[number], low, high - low)
                        for start, end in window
                        for low, high in scan.dirty.within(start, end)
                        for number in (bisect_right(places, low) - 1,)):
                    runs.add(extent.offset, extent.offset + extent.length)
                for low, high in runs:
                    self._zero(fd, low, high - low)
                with self._lock:
                    self.read += scan.read
                    self.written += runs.size
                self._watch.add(sum(end - start for start, end in window))

            return deal

        in_parallel(worker, windows((extent.place, extent.place + extent.length)
                                    for extent in held), self._watch)
        if only is None and len(self._looked) < 2 * MOST:  # else it is looked at once more
            for extent in held:
                self._looked.extend((extent.place, extent.place + extent.length))

    def _extents(self, fd: int, start: int, length: int) -> list[Extent]:
        """Where on the device the file FD lies from START on."""
        try:
            extents = [piece for extent in ioctls.fiemap(fd, start, length)
                       for piece in self._volume.on_device(extent)]
        except Strange as strange:
            raise Unsafe(str(strange)) from None
        except OSError as error:
            raise Unsafe(f"it is not told where files lie: {error.strerror}") from None
        size = self._volume.device.size
        for extent in extents:
            if extent.place % self._volume.unit or extent.place + extent.length > size:
                raise Unsafe("the file system tells of blocks that the device does not have")
        return extents

    def _prove(self, fd: int, held: list[Extent], times: int) -> None:
        """Write random bytes through the file and find them on the device.

        Until that has been seen no address that the file system told is believed.
        """
        unit = self._volume.unit
        for extent in islice(sorted(held, key=lambda one: -one.length), times):
            at = extent.length // 2 // unit * unit
            token = os.urandom(unit)
            with mmap.mmap(-1, unit) as buffer:
                buffer[:] = token
                os.pwritev(fd, [buffer], extent.offset + at)
            os.fdatasync(fd)
            found = self._volume.device.read(extent.place + at, unit)
            self._zero(fd, extent.offset + at, unit)
            if found != token:
                raise Unsafe("blocks are not where the file system says they are")
