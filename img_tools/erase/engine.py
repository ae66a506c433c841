"""Erases the free space of one file system that is in use. Only cleaning.apply calls it.

Three steps, none of which writes to a physical address: all that is free is read from the device,
which tells what is not zero; the free space is claimed in files without a name, and zeros are
written through these where it was not; all that is free is read once more. Where a file system
cannot tell where its files lie, or lies about it, the files are filled with zeros.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from img_tools.actions import Erase, Erased
from img_tools.erase import ioctls, journal, swap
from img_tools.erase.btrfs import volume_of
from img_tools.erase.claim import Filled, Sparse, hold_most, squeeze, take_turns
from img_tools.erase.device import CHUNK, Extents, Full, Interrupted, Scan, Unsafe, Watch
from img_tools.erase.ext4 import scrub_inodes
from img_tools.erase.ranges import Ranges, Written
from img_tools.erase.targets import Target
from img_tools.erase.volume import Volume
from img_tools.erase.xfs import exchange
from img_tools.runner import Runner

PASSES = 3
SHARE = 16  # of what was written, one part of so many is read again

__all__ = ["Interrupted", "Unsafe", "Watch", "erase"]


def erase(action: Erase, run: Runner, watch: Watch) -> Erased:
    """Carry ACTION out; RUN is for swapon(8) and swapoff(8).

    Raises Unsafe, Undecided, Interrupted and OSError; nothing is claimed any more then.
    """
    started = time.monotonic()
    if action.kind == "swap":
        return swap.erase(action, run, watch, started)
    volume = volume_of(Target(action.path, action.place, action.mount, action.kind, action.free))
    try:
        work = _Work(volume, watch, action.mode)
        work.run()
    finally:
        volume.close()
    return work.result(time.monotonic() - started)


@dataclass
class _Work:
    """The erasing of VOLUME, and what it has come to so far."""

    volume: Volume
    watch: Watch
    mode: str
    method: str = "sparse"
    free: int = 0
    trimmed: int = 0
    scanned: int = 0
    written: int = 0
    last: Scan | None = None
    journal: str | None = None
    inodes_left: int | None = None
    notes: list[str] = field(default_factory=list)

    def run(self) -> None:
        """All of it."""
        self.volume.settle()
        self.free = self.volume.free
        if self.mode != "full" and not self._trim() and self.mode == "trim":
            raise Unsafe("the disk does not discard, or not from here")
        if self.mode == "trim":
            self.method = "trim"
            return
        if self.volume.kind.startswith("ext"):
            self.inodes_left = scrub_inodes(self.volume, self.watch)
        self.journal = journal.overwrite(self.volume, self.watch)
        try:
            self._free_space()
        except Full as full:
            self.notes.append(str(full))
        self.journal = self.journal or journal.zero(self.volume)

    def _free_space(self) -> None:
        found = self._scan("reading", self.volume.extents(), self.free, probe=True)
        if found is None or self.mode == "full":
            self._fill()
            found = self._scan("verifying", self.volume.extents(), self.volume.free)
        if found is not None and found.blocks + found.nodes:
            self._zero(found)

    def _trim(self) -> bool:
        try:
            self.trimmed = ioctls.trim(self.volume.fd)
        except OSError:
            self.watch.check()  # a signal ends that, too
            return False
        return True

    def _scan(self, stage: str, extents: Extents, size: int, *, probe: bool = False) -> Scan | None:
        """What of EXTENTS, about SIZE bytes, is not zero; None where what is free is not told."""
        self.watch.begin(stage, size)
        try:
            self.last = self.volume.device.scan(
                extents, self.volume.unit, self.watch, probe=probe)
        except OSError as error:
            self.notes.append(f"what is free cannot be read: {error.strerror}")
            self.last = None
            return None
        self.scanned += self.last.read
        return self.last

    def _zero(self, found: Scan) -> None:
        """Write zeros where FOUND says and look again; then where that was not enough."""
        record = Written()
        for number in range(PASSES):
            dirty, before = found.dirty, found.blocks + found.nodes
            try:
                self._pass(dirty, record)
            except Full:
                raise
            except Unsafe as unsafe:
                if self.method == "fill":
                    return
                self.notes.append(f"filled with zeros, since {unsafe}")
                self._fill()
            self.volume.settle()
            free = self.volume.extents()
            again = self._scan("verifying", *(
                (self._within(dirty), dirty.size) if number else
                (free, self.volume.free) if self.method == "fill" else
                (record.to_verify(free, CHUNK, SHARE), self.volume.free - dirty.size)))
            if again is None or not again.blocks or self.method == "fill":
                return
            if not number and again.blocks > before // 2:
                self.notes.append(
                    "filled with zeros, since blocks are not where the file system says")
                self._fill()
                self._scan("verifying", self.volume.extents(), self.volume.free)
                return
            if again.blocks + again.nodes >= before:
                return
            found = again

    def _within(self, dirty: Ranges) -> Iterator[tuple[int, int]]:
        """What of DIRTY is free now."""
        for start, end in self.volume.extents():
            yield from dirty.within(start, end)

    def _pass(self, dirty: Ranges, record: Written) -> None:
        self.watch.begin("writing", dirty.size)
        claim = Sparse(self.volume, self.watch, dirty, record)

        def clean() -> bool:
            """Whether nothing of DIRTY is free any more that has not been zeroed."""
            self.volume.settle()
            left = self.volume.device.scan(
                self._within(dirty), self.volume.unit, Watch(self.watch.stop))
            self.scanned += left.read
            claim.dirty = left.dirty  # what was given back is zero, and need not be written again
            return not left.blocks + left.nodes

        try:
            with claim:
                hold_most(claim, self.volume)
                finish = exchange if self.volume.kind == "xfs" else take_turns
                finish(claim, self.volume, clean)
                if not clean():
                    squeeze(claim)
        finally:
            self.written += claim.written

    def _fill(self) -> None:
        self.method = "fill"
        self.watch.begin("writing", self.volume.free)
        claim = Filled(self.volume, self.watch)

        def clean() -> bool:
            """Whether all that is free now is zero."""
            self.volume.settle()
            return not self.volume.device.scan(
                self.volume.extents(), self.volume.unit, Watch(self.watch.stop)).blocks

        try:
            with claim:
                hold_most(claim, self.volume)
                once = iter((False,))
                take_turns(claim, self.volume,
                           clean if self.last else lambda: next(once, True))
                if not (self.last and clean()):
                    squeeze(claim)
        finally:
            self.written += claim.written
        self.volume.settle()

    def result(self, seconds: float) -> Erased:
        """What it came to after SECONDS."""
        left, nodes = (self.last.blocks, self.last.nodes) if self.last else (None, 0)
        return Erased(
            method=self.method, free=self.free, trimmed=self.trimmed, scanned=self.scanned,
            written=self.written, left=left, nodes=nodes,
            journal=self.journal, inodes_left=self.inodes_left, seconds=seconds,
            notes=tuple(self.notes))
