"""The inodes of an ext4 that are free: they keep short links, attributes and small files.

Read from the device, whose cache is where ext4 itself keeps them, and never written: a new inode is
all zeros, so the free ones are used, by files without a name, and freed again.
"""

from __future__ import annotations

import contextlib
import os
import struct
from array import array

from img_tools.erase.device import Device, Watch
from img_tools.erase.volume import Volume

_MAGIC = 0xEF53
_META_BG, _64BIT, _FLEX_BG = 0x10, 0x80, 0x200  # s_feature_incompat
_UNUSED = 0x1  # bg_flags: no inode of the group was ever used
_EXTENTS = b"\x0a\xf3"


class Superblock:
    """What is needed of struct ext4_super_block, Documentation/filesystems/ext4/super.rst."""

    def __init__(self, device: Device) -> None:
        self._fd = os.open(f"/dev/{device.name}", os.O_RDONLY | os.O_CLOEXEC)
        block = os.pread(self._fd, 1024, 1024)
        if len(block) < 1024 or _word(block, 56) != _MAGIC:
            os.close(self._fd)
            raise OSError("no superblock of ext4")
        self.block = 1024 << _long(block, 24)
        self.inode_size = _word(block, 88)
        self.per_group = _long(block, 40)
        self.first = _long(block, 84)
        incompatible = _long(block, 96)
        self.groups = -(-_long(block, 0) // self.per_group)
        self._descriptor = _word(block, 254) if incompatible & _64BIT else 32
        self._table = (1024 // self.block + 1) * self.block
        self.flex = 1 << block[372] if incompatible & _FLEX_BG else 1
        self.journal = _long(block, 0x10C + 64) | _long(block, 0x10C + 60) << 32
        self.readable = not incompatible & _META_BG

    def __enter__(self) -> Superblock:
        return self

    def __exit__(self, *raised: object) -> None:
        os.close(self._fd)

    def read(self, start: int, length: int) -> bytes:
        """LENGTH bytes at START as ext4 sees them."""
        return os.pread(self._fd, length, start)

    def free_with_content(self, group: int) -> list[int]:
        """Numbers of the free inodes of GROUP in which something is left."""
        text = self.read(self._table + group * self._descriptor, self._descriptor)
        bitmap, table, flags, unused = (
            _long(text, 4), _long(text, 8), _word(text, 18), _word(text, 28))
        if self._descriptor >= 64:
            bitmap |= _long(text, 0x24) << 32
            table |= _long(text, 0x28) << 32
            unused |= _word(text, 0x32) << 16
        if flags & _UNUSED or unused >= self.per_group:
            return []
        count = self.per_group - unused
        used = self.read(bitmap * self.block, -(-count // 8))
        inodes = self.read(table * self.block, count * self.inode_size)
        first = group * self.per_group + 1
        return [first + number for number in range(count)
                if not used[number >> 3] >> (number & 7) & 1 and first + number >= self.first
                and _has_content(inodes, number * self.inode_size, self.inode_size)]


def _word(text: bytes, place: int) -> int:
    return int(struct.unpack_from("<H", text, place)[0])


def _long(text: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", text, place)[0])


def _has_content(inodes: bytes, place: int, size: int) -> bool:
    """Whether the inode at PLACE holds more than numbers: a link, data or attributes."""
    body = inodes[place + 40:place + 100]
    if body[:2] != _EXTENTS and any(body):
        return True
    if size <= 128:
        return False
    extra = 128 + _word(inodes, place + 128)
    return any(inodes[place + min(extra, size):place + size])


def scrub_inodes(volume: Volume, watch: Watch) -> int | None:
    """Zero the free inodes that hold something. Returns how many still do; None if not known."""
    try:
        disk = Superblock(volume.device)
    except OSError:
        return None
    with disk:
        if not disk.readable:
            return None
        wanted = _dirty(disk, watch)
        if not wanted:
            return 0
        with contextlib.suppress(OSError):
            _reuse(volume, wanted, watch)
        volume.settle()
        return len(_dirty(disk, watch))


def _dirty(disk: Superblock, watch: Watch) -> array[int]:
    """Numbers of free inodes that hold something."""
    found = array("L")
    for group in range(disk.groups):
        watch.check()
        found.extend(disk.free_with_content(group))
    return found


def _reuse(volume: Volume, wanted: array[int], watch: Watch) -> None:
    """Make a file of each of the inodes WANTED, and let go of it. Raises OSError.

    The goal of the allocator is told by /sys/fs/ext4/DEVICE/inode_goal: it takes this one or the
    next that is free. If we are killed it stays, until the next mount, and does no harm.
    """
    path = f"/sys/fs/ext4/{os.path.basename(volume.device.name)}/inode_goal"
    watch.begin("inodes", len(wanted))
    goal = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    before = os.read(goal, 32)
    try:
        for number in wanted:
            os.pwrite(goal, b"%d" % number, 0)
            os.close(volume.file())
            watch.add(1)
    finally:
        os.pwrite(goal, before, 0)
        os.close(goal)
