"""Holding free space, in files without a name, so that zeros can be written to it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from itertools import islice

from img_tools.erase import ioctls
from img_tools.erase.device import CHUNK, Full, Unsafe, Watch, in_parallel
from img_tools.erase.ioctls import Extent, Strange
from img_tools.erase.ranges import Ranges, Written
from img_tools.erase.volume import Volume

PIECE = 64 << 20  # bytes taken at once; the list of their extents stays small
LEAST = 64 << 10
ROUNDS = 8
_PROOFS = 3
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Claim:
    """Files that hold what was free on VOLUME. Closing it gives everything back at once."""

    first = 0  # offset in each file where it begins

    def __init__(self, volume: Volume, watch: Watch) -> None:
        self._volume = volume
        self._watch = watch
        self._files: list[list[int]] = []  # [fd, size], the oldest first
        self.written = 0
        self._zeros = mmap.mmap(-1, CHUNK)

    def __enter__(self) -> Claim:
        self.turn()
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        with contextlib.ExitStack() as all_of_them:  # when one fails, the others go nevertheless
            for _ in self._files:
                all_of_them.callback(self._drop, flush=kind is None)

    def _drop(self, *, flush: bool) -> None:
        """Free what the oldest file holds."""
        fd, _ = self._files.pop(0)
        try:
            if flush:
                self._flush(fd)
            os.ftruncate(fd, 0)  # xfs frees what a closed file holds later, in the background
        finally:
            os.close(fd)

    def turn(self) -> None:
        """Grow a new file from now on, so that the older ones can be given back."""
        try:
            self._files.append([self._volume.file(), self.first])
        except OSError as error:
            if error.errno not in _FULL or self._files:
                raise
            raise Full("not even a file without a name has room") from None

    def give_back(self, length: int) -> None:
        """Free LENGTH bytes of what was claimed before the last turn."""
        while length > 0 and len(self._files) > 1:
            file = self._files[0]
            if file[1] - self.first <= length:
                length -= file[1] - self.first
                self._drop(flush=True)
            else:
                file[1] -= length
                self._flush(file[0])
                os.ftruncate(file[0], file[1])
                return

    def grow(self, length: int) -> int:
        """Claim LENGTH bytes more, or what there is of them; how many it got."""
        raise NotImplementedError

    def more(self, length: int) -> int:
        """grow(), in a new file when this one may not be larger: vfat's limit is 4 GB."""
        got = self.grow(length)
        if not got:
            with contextlib.suppress(OSError):  # there is no room for another file
                self.turn()
                got = self.grow(length)
        return got

    def _flush(self, fd: int) -> None:
        """Have what was written to the file FD reach the disk before its blocks are freed."""

    def _zero(self, fd: int, offset: int, length: int) -> None:
        """Write zeros into the file FD, never to the device."""
        done = 0
        with memoryview(self._zeros) as zeros:
            while done < length:
                self._watch.check()
                done += os.pwritev(fd, [zeros[:length - done]], offset + done)


class Sparse(Claim):
    """Blocks without a write, and zeros only to those in `dirty`; RECORD hears which."""

    first = 4 * PIECE  # xfs.exchange() needs a hole before the first extent

    def __init__(self, volume: Volume, watch: Watch, dirty: Ranges, record: Written) -> None:
        super().__init__(volume, watch)
        self.dirty = dirty
        self._record = record
        self._proved = 0

    def grow(self, length: int) -> int:
        """See Claim. Raises Unsafe when the blocks are not where the file system says."""
        fd, start = self._files[-1]
        while length >= LEAST:
            try:
                os.ftruncate(fd, start + length)
                ioctls.reserve(fd, start, length)
                break
            except OSError as error:
                os.ftruncate(fd, start)
                if error.errno not in _FULL:
                    raise Unsafe(f"space cannot be claimed: {error.strerror}") from None
                length = length // 2 // 4096 * 4096
        else:
            return 0
        self._files[-1][1] = start + length
        self._look(fd, start, length)
        return length

    @property
    def files(self) -> list[tuple[int, int]]:
        """(fd, size) of each file."""
        return [(fd, size) for fd, size in self._files]

    def refill(self, fd: int, start: int, length: int) -> None:
        """Claim blocks for a hole of the file FD. Raises OSError."""
        ioctls.reserve(fd, start, length)
        self._look(fd, start, length)

    def _look(self, fd: int, start: int, length: int) -> None:
        """Treat what the file FD holds from START on."""
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
        wanted = [Extent(extent.offset + start - extent.place, start, end - start)
                  for extent in extents
                  for start, end in self.dirty.within(extent.place,
                                                       extent.place + extent.length)]
        if not wanted:
            return
        if self._proved < _PROOFS:
            self._prove(fd, wanted)
        runs = Ranges(gap=0)  # neighbours in the file are written at once, wherever they lie
        for extent in sorted(wanted):
            runs.add(extent.offset, extent.offset + extent.length)
        pieces = ((at, min(CHUNK, end - at)) for start, end in runs
                  for at in range(start, end, CHUNK))

        def deal(piece: tuple[int, int]) -> None:
            self._zero(fd, *piece)
            self._watch.add(piece[1])

        in_parallel(lambda: deal, pieces, self._watch)
        for extent in wanted:
            self.written += extent.length
            self._record.add(extent.place, extent.place + extent.length)

    def _prove(self, fd: int, wanted: list[Extent]) -> None:
        """Write random bytes through the file and find them on the device, a few times.

        Until that has been seen no address that the file system told is believed.
        """
        unit = self._volume.unit
        for extent in islice(sorted(wanted, key=lambda one: -one.length), _PROOFS):
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
            self._proved += 1


class Filled(Claim):
    """Blocks with zeros written to all of them."""

    def _flush(self, fd: int) -> None:
        """See Claim. With O_DIRECT all is there, and a journal would be written too early."""
        if not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            os.fdatasync(fd)

    def grow(self, length: int) -> int:
        """See Claim; how much there is must be told by the volume: some compress zeros away."""
        fd, start = self._files[-1]
        done, size = 0, CHUNK
        while done < length and size >= 512:
            size = min(size, length - done)
            try:
                self._zero(fd, start + done, size)
                done += size
                self._watch.add(size)
            except OSError as error:
                if error.errno in _FULL:
                    size = size // 2 // 512 * 512
                elif error.errno == errno.EINVAL and size < 4096:
                    break
                else:
                    raise
        self._files[-1][1] = start + done
        self.written += done
        return done


def hold_most(claim: Claim, volume: Volume) -> None:
    """Claim all that is free but what others need."""
    kept, step = volume.margins()
    budget = volume.free - kept - step  # btrfs counts what was claimed later
    while (room := min(budget, volume.free - kept - step)) >= LEAST:
        got = claim.more(min(room, PIECE) // 4096 * 4096)
        budget -= got
        if not got:
            break


def squeeze(claim: Claim) -> None:
    """Claim all the rest: for a moment nobody else can write."""
    while claim.more(PIECE):
        pass


def take_turns(claim: Claim, volume: Volume, clean: Callable[[], bool]) -> None:
    """Claim what was left to others, too, by turns.

    What is given back is not handed out again before the journal was written (ext4, xfs), so that
    the next step gets another part of what was kept; it never shrinks below its size. The turns end
    when CLEAN says that nothing is left to treat.
    """
    _, step = volume.margins()
    for _ in range(ROUNDS):
        if clean():
            return
        claim.turn()
        for _ in range(volume.free // step + 2):
            claim.give_back(claim.grow(step))
