"""The journal of a file system: copies of directories and inodes, from long before they changed."""

from __future__ import annotations

import contextlib
import os
import struct
from itertools import count

from img_tools.erase import ioctls
from img_tools.erase.btrfs import BtrfsVolume, OldNodes
from img_tools.erase.device import OURS, Watch
from img_tools.erase.ext4 import Superblock
from img_tools.erase.volume import Volume

FILES, ATTRIBUTES = 1024, 4  # what one file has fits into one block
_NAME = f"trusted.{OURS}"

ZEROED, OVERWRITTEN, PARTLY, LEFT = "zeroed", "overwritten", "mostly overwritten", "not reached"


def overwrite(volume: Volume, watch: Watch) -> str | None:
    """Have the log of xfs, and the journal of an ext4 that cannot zero it, overwritten once round.

    Changes of attributes of files without a name are what it then holds. The same makes btrfs use
    the freed nodes of its trees. None when there is nothing to do, or zero() will do it.
    """
    try:
        if volume.kind == "xfs":
            return _churn(volume, watch, _XfsLog(volume))
        if isinstance(volume, BtrfsVolume):
            nodes = OldNodes(volume, watch)
            return None if nodes.is_round(0) else _churn(volume, watch, nodes)
        if volume.kind.startswith("ext") and not _can_zero(volume):
            with Superblock(volume.device) as disk:
                size = disk.journal
            return _churn(volume, watch, _Journal(size)) if size else None
    except OSError:
        return LEFT
    return None


def _can_zero(volume: Volume) -> bool:
    try:
        ioctls.zero_journal(volume.fd, dry_run=True)
    except OSError:
        return False
    return True


def zero(volume: Volume) -> str | None:
    """Zero the journal of an ext4; None when there is none, or it cannot be done."""
    if not volume.kind.startswith("ext"):
        return None
    try:
        ioctls.zero_journal(volume.fd)
    except OSError:
        return None
    return ZEROED


class _XfsLog:
    """The head of the log: a block in a cycle, /sys/fs/xfs/DEVICE/log/log_head_lsn."""

    most = 8 << 30  # bytes after which it is given up; the largest log has 2 GiB

    def __init__(self, volume: Volume) -> None:
        self._path = f"/sys/fs/xfs/{os.path.basename(volume.device.name)}/log/log_head_lsn"
        self._start = self._head()

    def _head(self) -> tuple[int, int]:
        with open(self._path) as file:
            cycle, _, block = file.read().strip().partition(":")
        return int(cycle), int(block)

    def is_round(self, written: int) -> bool:
        """Whether the head has come by its first place again."""
        cycle, block = self._head()
        return (cycle, block) > (self._start[0] + 1, self._start[1])


class _Journal:
    """SIZE bytes that are written from front to back and over again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.most = 2 * size

    def is_round(self, written: int) -> bool:
        """Whether WRITTEN bytes of changes must have gone round: each is a block in the journal."""
        return written > self._size * 5 // 4


def _churn(volume: Volume, watch: Watch, log: _XfsLog | _Journal | OldNodes) -> str:
    """Change attributes of files without a name until LOG is round.

    They are removed before they are set anew, and small enough to lie beside each other: replacing
    one, or moving it, has xfs wait for the disk each time, and takes a hundred times as long.
    """
    written, rest = 0, bytes(volume.unit // ATTRIBUTES - 124)
    with contextlib.ExitStack() as files:
        files.callback(volume.settle)
        fds = [_file(volume, files) for _ in range(FILES)]
        for number in count():
            name = f"{_NAME}.{number % ATTRIBUTES}"
            for place, fd in enumerate(fds):
                if number >= ATTRIBUTES:
                    os.removexattr(fd, name)
                os.setxattr(fd, name, struct.pack("=QI", number, place) + rest)
            volume.settle()
            watch.check()
            written += FILES * volume.unit
            if log.is_round(written):
                return OVERWRITTEN
            if written > log.most:
                break
    return PARTLY if isinstance(log, OldNodes) and log.are_few else LEFT


def _file(volume: Volume, files: contextlib.ExitStack) -> int:
    fd = volume.file()
    files.callback(os.close, fd)
    return fd
