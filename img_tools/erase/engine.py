"""Erases the free space of one file system that is in use. Only cleaning.apply calls it.

No step writes to a physical address: the free space is claimed in files without a name; where these
lie is read from the device, and where it is not zero zeros are written through the files. What
cannot be claimed at once is claimed by turns. Then what is free is read again, but for what was
seen to be zero while nobody else could write there: of that a part. Where a file system cannot
tell where its files lie, or lies about it, the files are filled with zeros.
"""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from img_tools import inuse
from img_tools.actions import Erase, Erased
from img_tools.erase import ioctls, journal, swap
from img_tools.erase.btrfs import volume_of
from img_tools.erase.claim import Claim, Filled, hold_most, squeeze, take_turns
from img_tools.erase.device import (
    CHUNK,
    Extents,
    Full,
    Interrupted,
    Scan,
    Unsafe,
    Watch,
    in_parallel,
)
from img_tools.erase.ext4 import scrub_inodes
from img_tools.erase.ranges import Ranges, to_verify, without
from img_tools.erase.sparse import Sparse
from img_tools.erase.targets import Target
from img_tools.erase.volume import Volume
from img_tools.erase.xfs import exchange
from img_tools.runner import Runner

PASSES = 3
NAMED = 5  # processes
BESIDE = 128 << 20  # bytes of a log that is overwritten in little time; xfs's own choice to 256 GB
SHARE = 16  # of what was seen to be zero, one part of so many is read again

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
    told: bool = False  # what is free
    last: Scan | None = None
    overwritten: bool = False  # the journal, as far as it can be
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
        if not self._is_beside():
            self._overwrite()
        try:
            self._free_space()
        except Full as full:
            self.notes.append(str(full))
            self._scan(self.volume.extents(), self.volume.free)
        self._overwrite()
        self.journal = self.journal or journal.zero(self.volume)
        self._tell_open()

    def _free_space(self) -> None:
        self.told = self._is_told()
        only = None
        if self.mode == "full" or not self.told:
            self._fill()
            found = self._scan(self.volume.extents(), self.volume.free)
            if found is None or not found.blocks + found.nodes:
                return
            only = found.dirty
        self._zero(only)

    def _overwrite(self) -> None:
        """Overwrite the journal, once."""
        if not self.overwritten:
            self.overwritten = True
            self.journal = journal.overwrite(self.volume, self.watch)

    def _tell_open(self) -> None:
        """Note what is deleted, but not free yet."""
        found = list(inuse.deleted(os.fstat(self.volume.fd).st_dev))
        if found:
            names = sorted({name for name, _ in found})
            some = ", ".join(names[:NAMED]) + (" and others" if names[NAMED:] else "")
            size = sum(size for _, size in found)
            self.notes.append(f"deleted files that are still open keep {size} bytes: {some}")

    def _is_beside(self) -> bool:
        """Whether the journal is overwritten while space is held: both wait for the disk.

        But others have less then, and it needs some itself; on btrfs only more is written so.
        """
        return (self.volume.kind == "xfs" and self.free >= 4 * self.volume.kept
                and ioctls.xfs_sizes(self.volume.fd)[1] <= BESIDE)

    def _hold(self, claim: Claim) -> None:
        """hold_most(), and the journal overwritten meanwhile if it was not yet."""
        jobs = [lambda: hold_most(claim, self.volume), self._overwrite]
        in_parallel(lambda: operator.call, jobs, self.watch)

    def _is_told(self) -> bool:
        """Whether it is told what is free."""
        try:
            next(iter(self.volume.extents()), None)
        except OSError as error:
            self.notes.append(f"what is free cannot be read: {error.strerror}")
            return False
        return True

    def _trim(self) -> bool:
        try:
            self.trimmed = ioctls.trim(self.volume.fd)
        except OSError:
            self.watch.check()  # a signal ends that, too
            return False
        return True

    def _scan(self, extents: Extents, size: int) -> Scan | None:
        """What of EXTENTS, about SIZE bytes, is not zero; None where what is free is not told."""
        self.last = None
        if self.told:
            self.watch.begin("verifying", size)
            self.last = self.volume.device.scan(extents, self.volume.unit, self.watch)
            self.scanned += self.last.read
        return self.last

    def _zero(self, only: Ranges | None) -> None:
        """Write zeros where it is not zero, of ONLY, and look again; then where that remains."""
        seen = Ranges(gap=0)
        for _ in range(PASSES):
            before = self.last
            if only is not None:
                seen = without(seen, only)
            try:
                self._pass(only, seen)
            except Full:
                raise
            except Unsafe as unsafe:
                if self.method != "fill":
                    self.notes.append(f"filled with zeros, since {unsafe}")
                    self._fill()
                    self._scan(self.volume.extents(), self.volume.free)
                return
            self.volume.settle()
            again = self._scan(to_verify(self.volume.extents(), seen, CHUNK, SHARE),
                               max(0, self.volume.free - seen.size * (SHARE - 1) // SHARE))
            if again is None or not again.blocks:
                return
            if before and again.blocks + again.nodes >= before.blocks + before.nodes:
                return
            only = again.dirty

    def _within(self, only: Ranges) -> Iterator[tuple[int, int]]:
        """What of ONLY is free now."""
        for start, end in self.volume.extents():
            yield from only.within(start, end)

    def _pass(self, only: Ranges | None, seen: Ranges) -> None:
        """Zero what of ONLY is free; without ONLY add to SEEN what was seen to be zero."""
        self.watch.begin("erasing", only.size if only else self.volume.free)
        claim = Sparse(self.volume, self.watch, only)

        def clean() -> bool:
            """Whether nothing is free any more that is not zero."""
            self.volume.settle()
            left = self.volume.device.scan(
                self.volume.extents() if claim.only is None else self._within(claim.only),
                self.volume.unit, Watch(self.watch.stop))
            self.scanned += left.read
            claim.only = left.dirty  # what was given back is zero, and need not be read again
            return not left.blocks + left.nodes

        try:
            with claim:
                self._hold(claim)
                # btrfs likes to hand out again what was given back, so that turns are slow there.
                held = self.volume.kind == "btrfs" and self._take_all(claim)
                if self.volume.kind == "xfs":
                    exchange(claim, self.volume, clean)
                elif not held:
                    take_turns(claim, self.volume, clean)
                for start, end in sorted(claim.seen()):
                    seen.add(start, end)
                if not held and not clean():
                    self._take_all(claim)
        finally:
            self.scanned += claim.read
            self.written += claim.written

    def _take_all(self, claim: Sparse) -> bool:
        """Claim all the rest if nobody else takes or frees space; for a moment nobody can then."""
        if not self.volume.is_quiet():
            return False
        claim.only = None  # what was freed since then, too
        squeeze(claim)
        return True

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
                self._hold(claim)
                once = iter((False,))
                take_turns(claim, self.volume,
                           clean if self.told else lambda: next(once, True))
                if not (self.told and clean()) and self.volume.is_quiet():
                    squeeze(claim)
                claim.write_maps()
                journal.zero(self.volume)
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
