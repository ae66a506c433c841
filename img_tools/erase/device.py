"""The disk below a file system, read and never written: what lies where nothing should."""

from __future__ import annotations

import mmap
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from img_tools.erase import ioctls
from img_tools.erase.ranges import Ranges, merged

CHUNK = 1 << 20  # bytes read or written at once
BRIDGE = 64 << 10  # bytes; a used piece that is smaller is read along with what is free around it
PAGE = 4096  # the unit in which zeros are looked for, unless the blocks are smaller
THREADS = 4  # so that the disk has something to do while one compares
ZEROS = bytes(CHUNK)
_SHORT = 65536
_DIPPED = 4 * _SHORT  # bytes from which on it pays not to read them all

Extents = Iterable[tuple[int, int]]
Window = list[tuple[int, int]]  # extents that one read covers
Item = TypeVar("Item")


class Interrupted(Exception):
    """A signal asked us to end; nothing is held any more when this arrives."""


class Unsafe(Exception):
    """The disk is not what it should be, so that it must be left alone."""


class Full(Unsafe):
    """There is no room to begin."""


@dataclass
class Watch:
    """Asked between two pieces of work whether to STOP, and told how many bytes are done."""

    stop: Callable[[], bool] = lambda: False
    tell: Callable[[str, int, int], None] = lambda stage, done, total: None
    stage: str = ""
    total: int = 0
    done: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, stage: str, total: int) -> None:
        """Another STAGE begins, with TOTAL bytes to do."""
        self.stage, self.total, self.done = stage, total, 0

    def add(self, size: int) -> None:
        """SIZE bytes more are done. Raises Interrupted."""
        self.check()
        with self._lock:
            self.done += size
            self.tell(self.stage, min(self.done, self.total), self.total)

    def check(self) -> None:
        """Raise Interrupted when it is to stop."""
        if self.stop():
            raise Interrupted


class Device:
    """The block device NUMBER (st_rdev), read past all caches. Raises Unsafe, OSError.

    `mapped` is how many blocks there are, if files are mapped by lists of numbers (ext2), or 0.
    """

    mapped = 0

    def __init__(self, number: int) -> None:
        self.number = number
        self.sys = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
        self.name = _name(self.sys)
        self.fd = os.open(f"/dev/{self.name}",
                          os.O_RDONLY | os.O_DIRECT | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(self.fd)
            if not stat.S_ISBLK(found.st_mode) or found.st_rdev != number:
                raise Unsafe(f"/dev/{self.name} is another device")
            self.size = ioctls.device_size(self.fd)
        except BaseException:
            os.close(self.fd)
            raise

    def close(self) -> None:
        """Let go of it."""
        os.close(self.fd)

    def read(self, start: int, length: int) -> bytes:
        """LENGTH bytes from START on, wherever they begin."""
        first, last = start // PAGE * PAGE, -(-(start + length) // PAGE) * PAGE
        with mmap.mmap(-1, last - first) as buffer:
            with memoryview(buffer) as view:
                self.fill(view, first)
            return buffer[start - first:start - first + length]

    def fill(self, view: memoryview, start: int) -> None:
        """Read what lies at START into VIEW. Both are multiples of PAGE."""
        got = 0
        while got < len(view):
            count = os.preadv(self.fd, [view[got:]], start + got)
            if not count:
                if start + len(view) <= -(-self.size // PAGE) * PAGE:
                    return  # the last page of a device of odd length
                raise Unsafe(f"/dev/{self.name} ends at {start + got}")
            got += count

    def scan(self, extents: Extents, unit: int, watch: Watch) -> Scan:
        """What of EXTENTS, which ascend, is not zero, UNIT bytes at a time."""
        found = [Scan(mapped=self.mapped) for _ in range(THREADS)]
        parts = iter(found)

        def worker() -> Callable[[Window], None]:
            scan, reader = next(parts), Reader(self, unit)

            def look(window: Window) -> None:
                reader.look(window, scan)
                watch.add(sum(end - start for start, end in window))

            return look

        in_parallel(worker, windows(extents), watch)
        return Scan(merged(one.dirty for one in found), *(
            sum(getattr(one, name) for one in found) for name in ("read", "blocks", "nodes")))


class Reader:
    """One thread's way to look at pieces of DEVICE one after the other.

    With PROBE a piece after one that was full is only dipped into, and if that is not zero counts
    as full: to be written, it need not be read. Each dip waits behind the writing of others, so
    one has to do.
    """

    def __init__(self, device: Device, unit: int, *, probe: bool = False) -> None:
        self._device = device
        self._unit = unit
        self._probe = probe
        self._full = False
        self._buffer = memoryview(mmap.mmap(-1, CHUNK))

    def look(self, window: Window, scan: Scan) -> None:
        """Tell SCAN what of WINDOW is not zero."""
        start, end = window[0]
        if self._full and len(window) == 1 and self._is_full(start, end):
            scan.guess(start, end, self._unit)
            return
        before = scan.blocks
        first = start // PAGE * PAGE
        view = self._buffer[:-(-(window[-1][1] - first) // PAGE) * PAGE]
        self._device.fill(view, first)
        for start, end in window:
            scan.take(view[start - first:end - first], start, self._unit)
        size = sum(end - start for start, end in window)
        self._full = self._probe and (scan.blocks - before) * self._unit > size * 9 // 10

    def _is_full(self, start: int, end: int) -> bool:
        """Whether the page between START and END, which are not too near, is not zero."""
        if end - start < _DIPPED:
            return False
        place = (start + end) // 2 // PAGE * PAGE
        self._device.fill(self._buffer[:PAGE], place)
        return not ZEROS.startswith(self._buffer[:PAGE])


@dataclass
class Scan:
    """What was found: `read` bytes looked at, `blocks` that are not zero, and where.

    `nodes` are further blocks that held the map of a file and no content: erasing makes such.
    """

    dirty: Ranges = field(default_factory=Ranges)
    read: int = 0
    blocks: int = 0
    nodes: int = 0
    mapped: int = 0  # see Device

    def guess(self, start: int, end: int, unit: int) -> None:
        """Take all from START to END for dirty, unread."""
        self.dirty.add(start, end)
        self.blocks += (end - start) // unit

    def take(self, view: memoryview, place: int, unit: int) -> None:
        """Look at VIEW, which lies at PLACE."""
        size = len(view)
        self.read += size
        if ZEROS.startswith(view):
            return
        for short in range(0, size, _SHORT):
            if ZEROS.startswith(view[short:short + _SHORT]):
                continue
            for start in range(short, min(short + _SHORT, size), unit):
                block = view[start:start + unit]
                if ZEROS.startswith(block):
                    continue
                self.dirty.add(place + start, place + start + len(block))
                if is_node(block) or (self.mapped and is_map(block, self.mapped)):
                    self.nodes += 1
                else:
                    self.blocks += 1


_XFS_TREES = (b"BMA3", b"AB3B", b"AB3C", b"IAB3", b"FIB3", b"R3FC", b"RMB3")
_FEWEST = 7
_XFS_ATTRIBUTES = b"\x3b\xee"
OURS = "img-clean"  # the attributes with which journal.py overwrites the log


def is_node(block: memoryview) -> bool:
    """True for a freed node of an ext4 extent tree or an xfs btree: numbers of blocks, no content.

    An ext4 node that is full of entries, of which only block numbers remain, ends in a checksum.
    Blocks with attributes of ours alone count as nodes, too: nothing of anybody else is in them.
    """
    head = bytes(block[:12])
    if head[:4] in _XFS_TREES:
        return True
    if head[8:10] == _XFS_ATTRIBUTES:
        return _is_ours(bytes(block))
    most, depth = (int.from_bytes(head[place:place + 2], "little") for place in (4, 6))
    return head[:2] == b"\x0a\xf3" and most == (len(block) - 12) // 12 and depth <= 5


def is_map(block: memoryview, most: int) -> bool:
    """True for a block that maps a file of ext2 or ext3: numbers of blocks, all below MOST.

    Nearly all lie side by side, or each behind what it maps. No text is made of such numbers.
    """
    view = block.cast("I")
    steps = (1, len(view), len(view) + 1)
    if not view[0] or view[1] - view[0] not in steps:
        return False
    numbers = view.tolist()
    held = numbers[:numbers.index(0)] if 0 in numbers else numbers
    near = sum(after - before in steps for before, after in pairwise(held))
    return (not any(numbers[len(held):]) and max(held) < most
            and near >= len(held) * 7 // 8 >= _FEWEST)


def _is_ours(block: bytes) -> bool:
    """Whether all names in BLOCK, a struct xfs_attr3_leafblock, are those of our attributes."""
    name = f"{OURS}.".encode()
    entries = range(80, 80 + 8 * int.from_bytes(block[56:58], "big"), 8)
    places = [int.from_bytes(block[entry + 4:entry + 6], "big") + 3 for entry in entries]
    return bool(places) and all(block[place:place + len(name)] == name for place in places)


def windows(extents: Extents) -> Iterator[Window]:
    """EXTENTS cut and gathered to what one read of CHUNK bytes covers."""
    window: Window = []
    for start, end in extents:
        while start < end:
            if window and (start - window[-1][1] > BRIDGE
                           or start - window[0][0] // PAGE * PAGE >= CHUNK - PAGE):
                yield window
                window = []
            limit = (window[0][0] if window else start) // PAGE * PAGE + CHUNK
            window.append((start, min(end, limit)))
            start = window[-1][1]
    if window:
        yield window


def in_parallel(
    worker: Callable[[], Callable[[Item], None]], items: Iterable[Item], watch: Watch
) -> None:
    """Have THREADS of WORKER's functions deal with ITEMS; the first error ends all and rises."""
    source, lock = iter(items), threading.Lock()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            deal = worker()
            while not errors:
                watch.check()
                with lock:
                    item = next(source)
                deal(item)
        except StopIteration:
            return
        except BaseException as error:
            errors.append(error)

    threads: list[threading.Thread] = []
    try:
        for _ in range(THREADS):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()
    except RuntimeError as error:
        errors.append(Unsafe(f"no thread can be started: {error}"))
    except BaseException as error:
        errors.append(error)
    for thread in threads:  # or it would write to a descriptor whose number is another file's soon
        thread.join()
    if errors:
        raise errors[0]


def _name(sys: str) -> str:
    """The name below /dev of the device that /sys describes at SYS."""
    try:
        with open(f"{sys}/uevent") as file:
            lines = file.read().splitlines()
    except OSError:
        raise Unsafe("no block device is behind it") from None
    for line in lines:
        if line.startswith("DEVNAME="):
            return line.partition("=")[2]
    raise Unsafe("the block device behind it has no name")
