"""Private directories inside the image for commands that insist on writing somewhere.

`img-check` must leave no trace (row S14), so they lie on a tmpfs when it has room; elsewhere the
times of the directory above are put back once ours is gone.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

import psutil

from img_tools.model import Undecided
from img_tools.rootfs import RootFS

CANDIDATES = ("/dev/shm", "/run", "/tmp", "/var/tmp")  # noqa: S108  (made there with mkdir, 0755)


class Scratch:
    """Makes private directories in the image at ROOT and removes them on close()."""

    def __init__(self, root: RootFS) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._made: list[tuple[str, os.stat_result]] = []
        self._guarded: list[_Guarded] = []
        self._closed = False

    def make(self, room: int) -> str:
        """A new directory where ROOM bytes are free, as a path in the image.

        World-readable: apt fetches as the user _apt. Raises Undecided when there is no such place.
        """
        with self._lock:
            if self._closed:
                raise Undecided("the run is being stopped")
            parent = self._parent(room)
            name = f"img-check.{secrets.token_hex(6)}"
            above = self._root.host_path(parent)
            made = os.path.join(above, name)
            try:
                times = os.stat(above)
                os.mkdir(made, 0o700)
                self._made.append((made, times))
                os.chmod(made, 0o755)  # noqa: S103  (whatever the umask is)
            except OSError as error:
                raise Undecided(f"{parent}: cannot make a directory: {error.strerror}") from None
            return f"{parent.rstrip('/')}/{name}"

    @contextlib.contextmanager
    def guard(self, directory: str, pattern: str) -> Iterator[None]:
        """While a command runs that makes directories PATTERN in DIRECTORY and removes them again.

        Its times are put back. What a killed command leaves is removed, at the latest by close().
        """
        above = self._root.host_path(directory)
        if not os.path.isdir(above):
            yield
            return
        times = os.stat(above)  # before it is listed, which changes one of them
        guarded = _Guarded(above, pattern, frozenset(os.listdir(above)), times)
        with self._lock:
            self._guarded.append(guarded)
        ended = False
        try:
            yield
            ended = True
        finally:
            with self._lock:
                if guarded in self._guarded:  # else close() has done it
                    self._guarded.remove(guarded)
                    guarded.tidy(left=not ended)

    def owns(self, path: str) -> bool:
        """True when PATH, of the image, is a directory made here."""
        if "/img-check." not in path:
            return False
        with self._lock:  # one that is being made just now is known after that
            return self._root.host_path(path) in [made for made, _ in self._made]

    def _parent(self, room: int) -> str:
        tmpfs = _tmpfs_mounts() if _memory() > 2 * room else set()
        usable = [path for path in CANDIDATES if self._free(path) >= room]
        usable.sort(key=lambda path: self._root.host_path(path) not in tmpfs)
        if not usable:
            raise Undecided(f"no directory of {', '.join(CANDIDATES)} can be written to and has "
                            f"{room >> 20} MB free for package indexes; make room, or use "
                            "--no-refresh to judge by the indexes that are there")
        return usable[0]

    def _free(self, path: str) -> int:
        """Bytes that may be written in the directory PATH; 0 when it cannot be used."""
        try:
            found = os.statvfs(self._root.host_path(path)) if self._root.is_dir(path) else None
        except (OSError, Undecided):  # gone since, a loop of links
            return 0
        return found.f_bavail * found.f_frsize if found and not found.f_flag & os.ST_RDONLY else 0

    def close(self) -> None:
        """Remove everything made; call it when no command uses it any more."""
        with self._lock:
            self._closed = True
            while self._guarded:
                self._guarded.pop().tidy(left=True)
            while self._made:
                path, times = self._made.pop()
                _remove(path)
                with contextlib.suppress(OSError):
                    os.utime(os.path.dirname(path), ns=(times.st_atime_ns, times.st_mtime_ns))


@dataclass(frozen=True, slots=True)
class _Guarded:
    """The directory `above` as it was, and what a command makes in it."""

    above: str
    pattern: str
    names: frozenset[str]
    times: os.stat_result

    def tidy(self, *, left: bool) -> None:
        """Put the times back; remove what was LEFT first."""
        with contextlib.suppress(OSError):
            for name in set(os.listdir(self.above)) - self.names if left else ():
                path = f"{self.above}/{name}"
                found = os.lstat(path)
                if fnmatchcase(name, self.pattern) and stat.S_ISDIR(found.st_mode) and (
                        found.st_uid == os.geteuid()):
                    _remove(path)
            os.utime(self.above, ns=(self.times.st_atime_ns, self.times.st_mtime_ns))


def _memory() -> int:
    try:
        return psutil.virtual_memory().available
    except OSError:  # no /proc
        return 0


def _tmpfs_mounts() -> set[str]:
    try:
        return {part.mountpoint for part in psutil.disk_partitions(all=True)
                if part.fstype == "tmpfs"}
    except OSError:  # no /proc: a bare chroot
        return set()


def _remove(path: str) -> None:
    """Remove the tree, again while a killed command's last writes still land in it."""
    for _ in range(20):
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.lexists(path):
            return
        time.sleep(0.05)
