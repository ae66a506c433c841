"""Holding free space, in files without a name, so that zeros can be written to it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass

from img_tools.erase.device import CHUNK, Full, Watch
from img_tools.erase.volume import Volume

PIECE = 64 << 20  # bytes taken at once; the list of their extents stays small
LEAST = 64 << 10
ROUNDS = 8
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(eq=False, slots=True)
class File:
    """A file that holds blocks up to its SIZE, all of which were looked at if it is SEEN."""

    fd: int
    size: int
    seen: bool = False


class Claim:
    """Files that hold what was free on VOLUME. Closing it gives everything back at once."""

    first = 0  # offset in each file where what it holds begins

    def __init__(self, volume: Volume, watch: Watch) -> None:
        self._volume = volume
        self._watch = watch
        self._files: list[File] = []  # the oldest first
        self.written = 0
        self._zeros = mmap.mmap(-1, CHUNK)

    def __enter__(self) -> Claim:
        self.turn()
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        with contextlib.ExitStack() as all_of_them:  # when one fails, the others go nevertheless
            for file in self._files:
                all_of_them.callback(self._drop, file, flush=kind is None)

    def _drop(self, file: File, *, flush: bool) -> None:
        """Free what FILE holds."""
        self._files.remove(file)
        fd = file.fd
        try:
            if flush:
                self._flush(fd)
            os.ftruncate(fd, 0)  # xfs frees what a closed file holds later, in the background
        finally:
            os.close(fd)

    def turn(self) -> None:
        """Grow a new file from now on, so that the older ones can be given back."""
        try:
            self._files.append(File(self._volume.file(), self.first))
        except OSError as error:
            if error.errno not in FULL or self._files:
                raise
            raise Full("not even a file without a name has room") from None

    def try_turn(self) -> bool:
        """turn(); whether there was room for another file."""
        try:
            self.turn()
        except OSError as error:
            if error.errno not in FULL:
                raise
            return False
        return True

    def give_back(self, length: int) -> None:
        """Free LENGTH bytes of what was claimed before the last turn, the latest first."""
        while length > 0 and len(self._files) > 1:
            file = self._files[-2]
            if file.size - self.first <= length:
                length -= file.size - self.first
                self._drop(file, flush=True)
            else:
                file.size -= length
                self._flush(file.fd)
                os.ftruncate(file.fd, file.size)
                return

    def grow(self, length: int) -> int:
        """Claim LENGTH bytes more, or what there is of them; how many it got."""
        raise NotImplementedError

    def more(self, length: int) -> int:
        """grow(), in a new file when this one may not be larger: vfat's limit is 4 GB."""
        got = self.grow(length)
        if not got and self.try_turn():
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


class Filled(Claim):
    """Blocks with zeros written to all of them."""

    def _flush(self, fd: int) -> None:
        """See Claim. With O_DIRECT all is there, and a journal would be written too early."""
        if not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            os.fdatasync(fd)

    def write_maps(self) -> None:
        """Have what maps the files be written: freed unwritten, it keeps what was there before."""
        for file in self._files:
            try:
                os.fsync(file.fd)
            except OSError as error:
                if error.errno not in FULL:
                    raise

    def grow(self, length: int) -> int:
        """See Claim; how much there is must be told by the volume: some compress zeros away."""
        file = self._files[-1]
        fd, start = file.fd, file.size
        done, size = 0, CHUNK
        while done < length and size >= 512:
            size = min(size, length - done)
            try:
                self._zero(fd, start + done, size)
                done += size
                self._watch.add(size)
            except OSError as error:
                if error.errno in FULL:
                    size = size // 2 // 512 * 512
                elif error.errno == errno.EINVAL and size < 4096:
                    break
                else:
                    raise
        file.size = start + done
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
    kept, step = volume.margins()
    for _ in range(ROUNDS):
        if clean() or not claim.try_turn():
            return
        for _ in range(volume.free // step + 2):
            room = min(step, volume.free - kept)
            claim.give_back(claim.grow(room // 4096 * 4096))
            volume.gave_back()
