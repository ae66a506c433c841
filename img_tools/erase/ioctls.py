"""The ioctls of erasing: fcntl and struct, since the packaged program has no ctypes.

Each raises OSError as the kernel answers: ENOTTY or EOPNOTSUPP where a file system has no such
thing. Offsets and lengths are bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

_FIEMAP = 0xC020660B
_GETFSMAP = 0xC0C0583B
_RESVSP64 = 0x4030582A  # fallocate with FALLOC_FL_KEEP_SIZE, which Python's os does not have
_UNRESVSP64 = 0x4030582B
_XFS_GEOMETRY = 0x8070587C
_FITRIM = 0xC0185879
_EXT4_CHECKPOINT = 0x4004662B
_BTRFS_SYNC, _BTRFS_SEARCH = 0x9408, 0xD0009411
_BTRFS_FS_INFO, _BTRFS_DEV_INFO = 0x8400941F, 0xD000941E
_BLKGETSIZE64 = 0x80081272
_GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602
_EXT4_ZEROOUT, _EXT4_DRY_RUN = 2, 4
NOCOW = 0x00800000  # btrfs: written in place, neither compressed nor checksummed

_EXTENT = struct.Struct("=QQQ16xI12x")
_RECORD = struct.Struct("=IIQQQQ24x")
_LAST, _UNWRITTEN, _MERGED = 0x1, 0x800, 0x1000
_PLAIN = _LAST | _UNWRITTEN | _MERGED
_SPECIAL_OWNER, _LAST_RECORD, _FREE = 0x10, 0x20, 1
_EXTENTS, _RECORDS = 512, 1024  # asked for at once


class Extent(NamedTuple):
    """LENGTH bytes of a file at OFFSET lie at PLACE on the device."""

    offset: int
    place: int
    length: int


class Strange(Exception):
    """An extent that does not lie on the device as it is (inline, compressed, delayed, ...)."""


def fiemap(fd: int, start: int, length: int) -> Iterator[Extent]:
    """Where bytes START to START + LENGTH of the file FD lie. Raises Strange.

    Documentation/filesystems/fiemap.rst.
    """
    end = start + length
    while start < end:
        buffer = bytearray(32 + _EXTENT.size * _EXTENTS)
        struct.pack_into("=QQIII", buffer, 0, start, end - start, 0, 0, _EXTENTS)
        fcntl.ioctl(fd, _FIEMAP, buffer)
        (count,) = struct.unpack_from("=I", buffer, 20)
        flags = _LAST
        for number in range(count):
            offset, place, size, flags = _EXTENT.unpack_from(buffer, 32 + _EXTENT.size * number)
            if flags & ~_PLAIN:
                raise Strange(f"an extent has the flags {flags:#x}")
            yield Extent(offset, place, size)
            start = offset + size
        if flags & _LAST:
            return


def free_extents(fd: int, device: int) -> Iterator[tuple[int, int]]:
    """(start, end) of what is free on DEVICE (st_dev), in ascending order: ioctl_getfsmap(2).

    Linux 4.13 and later, ext4 and xfs.
    """
    wanted = _encoded(device)
    low = bytes(64)
    high = struct.pack("=IIQQQ32x", 0xFFFFFFFF, 0xFFFFFFFF, *[0xFFFFFFFFFFFFFFFF] * 3)
    buffer = bytearray(192 + _RECORD.size * _RECORDS)
    while True:
        buffer[:64] = struct.pack("=IIII48x", 0, 0, _RECORDS, 0)
        buffer[64:192] = low + high
        fcntl.ioctl(fd, _GETFSMAP, buffer)
        (count,) = struct.unpack_from("=I", buffer, 12)
        if not count:
            return
        for number in range(count):
            on, flags, place, owner, _, size = _RECORD.unpack_from(
                buffer, 192 + _RECORD.size * number)
            if flags & _SPECIAL_OWNER and owner == _FREE and on == wanted:
                yield place, place + size
        if flags & _LAST_RECORD:
            return
        last = 192 + _RECORD.size * (count - 1)
        low = bytes(buffer[last:last + 64])


def _encoded(device: int) -> int:
    """DEVICE as the kernel encodes it for user space (new_encode_dev)."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12


def reserve(fd: int, start: int, length: int) -> None:
    """Give the file FD blocks of its own from START on, unwritten. Its size stays."""
    fcntl.ioctl(fd, _RESVSP64, struct.pack("=hh4xqqiI16x", 0, os.SEEK_SET, start, length, 0, 0))


def punch(fd: int, start: int, length: int) -> None:
    """Free LENGTH bytes of the file FD from START on. Of old only for xfs, since 5.5 for others."""
    fcntl.ioctl(fd, _UNRESVSP64, struct.pack("=hh4xqqiI16x", 0, os.SEEK_SET, start, length, 0, 0))


def xfs_sizes(fd: int) -> tuple[int, int]:
    """Bytes of an allocation group of the xfs that FD is on, and of its log."""
    buffer = bytearray(112)
    fcntl.ioctl(fd, _XFS_GEOMETRY, buffer)
    block, _, group, _, log = struct.unpack_from("=5I", buffer)
    return block * group, block * log


def trim(fd: int) -> int:
    """Have the device discard all that is free; the bytes it was told of."""
    buffer = bytearray(struct.pack("=QQQ", 0, 0xFFFFFFFFFFFFFFFF, 0))
    fcntl.ioctl(fd, _FITRIM, buffer)
    return int(struct.unpack("=QQQ", buffer)[1])


def zero_journal(fd: int, *, dry_run: bool = False) -> None:
    """Write back what the journal of an ext4 holds, and zero it: Linux 5.14 and later."""
    flags = _EXT4_ZEROOUT | (_EXT4_DRY_RUN if dry_run else 0)
    fcntl.ioctl(fd, _EXT4_CHECKPOINT, struct.pack("=I", flags))


def device_size(fd: int) -> int:
    """Bytes of the block device FD."""
    return int(struct.unpack("=Q", fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8)))[0])


def set_flags(fd: int, flags: int) -> None:
    """Add FLAGS (chattr(1)) to those of the file FD."""
    (now,) = struct.unpack("=I4x", fcntl.ioctl(fd, _GETFLAGS, bytes(8)))
    fcntl.ioctl(fd, _SETFLAGS, struct.pack("=I4x", now | flags))


def btrfs_sync(fd: int) -> None:
    """Have the transaction of the btrfs that FD is on committed."""
    fcntl.ioctl(fd, _BTRFS_SYNC)


def btrfs_about(fd: int) -> tuple[int, int, UUID]:
    """How many devices it has, the bytes of a node, and its id."""
    _, devices, name, node = _btrfs_info(fd)
    return devices, node, UUID(bytes=name)


def _btrfs_info(fd: int) -> tuple[int, int, bytes, int]:
    buffer = bytearray(1024)
    fcntl.ioctl(fd, _BTRFS_FS_INFO, buffer)
    last, devices, name, node = struct.unpack_from("=QQ16sI", buffer)
    return last, devices, name, node


def btrfs_device(fd: int) -> tuple[str, bytes]:
    """The path of its first device, as it was when that was mounted, and its UUID.

    Raises OSError.
    """
    for number in range(1, _btrfs_info(fd)[0] + 1):
        buffer = bytearray(4096)
        struct.pack_into("=Q", buffer, 0, number)
        try:
            fcntl.ioctl(fd, _BTRFS_DEV_INFO, buffer)
        except OSError as error:
            if error.errno != errno.ENODEV:  # its number is not in use any more
                raise
            continue
        return os.fsdecode(bytes(buffer[3072:]).partition(b"\0")[0]), bytes(buffer[8:24])
    raise OSError(errno.ENODEV, "it has no device")


class Item(NamedTuple):
    """An item of a btrfs tree, by its key."""

    object: int
    kind: int
    offset: int
    data: bytes


def btrfs_items(fd: int, tree: int, first: int, last: int, low: int, high: int) -> Iterator[Item]:
    """Items of TREE with objects FIRST to LAST and kinds LOW to HIGH, in order of their keys."""
    most = (1 << 64) - 1
    at, kind, offset = first, low, 0
    while True:
        buffer = bytearray(4096)
        struct.pack_into("=7Q3I", buffer, 0, tree, at, last, offset, most, 0, most, kind, high, 512)
        fcntl.ioctl(fd, _BTRFS_SEARCH, buffer)
        (count,) = struct.unpack_from("=I", buffer, 64)
        if not count:
            return
        place = 104
        for _ in range(count):
            at, offset, kind, size = struct.unpack_from("=8xQQII", buffer, place)
            place += 32 + size
            if low <= kind <= high:
                yield Item(at, kind, offset, bytes(buffer[place - size:place]))
        if offset == most:
            kind, offset = kind + 1, 0
        else:
            offset += 1


def btrfs_chunk(data: bytes) -> tuple[int, int, list[int]]:
    """Bytes, type and the places of the stripes of the chunk item DATA."""
    length, kind, count = struct.unpack_from("=Q16xQ12xH", data)
    return length, kind, [struct.unpack_from("=8xQ", data, 48 + 32 * number)[0]
                          for number in range(count)]
