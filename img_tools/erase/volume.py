"""A mounted file system that is at work while its free space is erased."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator

from img_tools import mounts
from img_tools.erase import ioctls
from img_tools.erase.device import Device, Unsafe
from img_tools.erase.ioctls import Extent
from img_tools.erase.targets import Target

STEP = 32 << 20  # bytes by which what is kept is taken in turns
# Without O_DIRECT, or O_TMPFILE; EISDIR: Linux before 3.11 knows none.
_LACKING = (errno.EINVAL, errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT)
_MOMENTS, _MOMENT = 10, 0.005  # times, seconds


class Volume:
    """The file system of TARGET, opened and known to be the one that was planned."""

    kept = 64 << 20  # bytes that stay free for everybody else, all the time

    def __init__(self, target: Target) -> None:
        self.kind = target.kind
        self.fd = os.open(target.place,
                          os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if mounts.identity(self.fd) != target.mount:
                raise Unsafe("another file system is mounted there now")
            self.unit = min(os.fstatvfs(self.fd).f_bsize, 4096)
            self.device = Device(self._number())
            if self.kind.startswith("ext"):
                self.device.mapped = self.device.size // self.unit
        except BaseException:
            os.close(self.fd)
            raise

    def close(self) -> None:
        """Let go of it."""
        self.device.close()
        os.close(self.fd)

    def _number(self) -> int:
        return os.fstat(self.fd).st_dev

    @property
    def free(self) -> int:
        """Bytes that are free, to root."""
        about = os.fstatvfs(self.fd)
        return about.f_bfree * about.f_frsize

    def margins(self) -> tuple[int, int]:
        """Bytes to leave free always, so that nobody notices us, and what is taken at a time.

        Others cannot use what is kept for root: it does not count as free for them.
        """
        about = os.fstatvfs(self.fd)
        free, others = (count * about.f_frsize for count in (about.f_bfree, about.f_bavail))
        if not others:
            others = free
        kept = min(self.kept, others // 2)
        step = max(min(STEP, others // 8), self.unit) // 4096 * 4096
        return free - others + kept, max(step, 4096)

    def extents(self) -> Iterator[tuple[int, int]]:
        """(start, end) on the device of what is free, ascending. Raises OSError if not told."""
        return ioctls.free_extents(self.fd, self.device.number)

    def on_device(self, extent: Extent) -> Iterator[Extent]:
        """Where EXTENT as the file system tells it lies on the device. Raises Strange."""
        yield extent

    def file(self) -> int:
        """A new file without a name: what it holds is free again when it is closed, or we are."""
        flags = os.O_RDWR | os.O_CLOEXEC
        for direct in (os.O_DIRECT, 0):
            try:
                return os.open(".", os.O_TMPFILE | flags | direct, 0o600, dir_fd=self.fd)
            except OSError as error:
                if error.errno not in _LACKING:
                    raise
        name = f".img-clean-{os.getpid()}"
        for direct in (os.O_DIRECT, 0):
            try:
                fd = os.open(name, os.O_CREAT | os.O_EXCL | flags | direct, 0o600, dir_fd=self.fd)
            except OSError as error:
                if error.errno != errno.EINVAL or not direct:
                    raise
                with contextlib.suppress(FileNotFoundError):  # made, and then refused
                    os.unlink(name, dir_fd=self.fd)
                continue
            os.unlink(name, dir_fd=self.fd)
            return fd
        raise AssertionError  # the loop returns or raises

    def is_quiet(self) -> bool:
        """Whether nobody else takes or frees space, for a moment."""
        before = self.taken()
        for _ in range(_MOMENTS):
            time.sleep(_MOMENT)
            if self.taken() != before:
                return False
        return True

    def taken(self) -> object:
        """What changes at once when space is taken or freed."""
        return self.free

    def gave_back(self) -> None:
        """Have others find what was given back; unsettled, it is not handed out to us again."""

    def settle(self) -> None:
        """Have what was deleted become free: it is not before the journal has been written."""
        try:
            fd = self.file()
        except OSError:  # it is full to the last block
            os.fsync(self.fd)
            return
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
