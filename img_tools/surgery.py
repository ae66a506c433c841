"""Removing, truncating and writing in the image; cleaning.apply alone uses it.

Every path is taken apart into directory descriptors opened with O_NOFOLLOW, so that a link swapped
in for a directory after the plan was made makes the step fail instead of leading elsewhere.
Removing takes a link, never its target, and never enters another file system.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator

from img_tools.rootfs import RootFS

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Surgeon:
    """Changes files of the image at ROOT.

    Paths are resolved but for their last name (RootFS.resolve with follow=False). Every method
    raises OSError, FileNotFoundError for a missing path, and returns the bytes it concerned.
    """

    def __init__(self, root: RootFS) -> None:
        self._root = root
        self._parent: tuple[str, int] | None = None

    def __enter__(self) -> Surgeon:
        return self

    def __exit__(self, *raised: object) -> None:
        self._forget()

    def _forget(self) -> None:
        if self._parent:
            os.close(self._parent[1])
            self._parent = None

    def _directory(self, path: str) -> int:
        """A descriptor of the directory PATH; the last one is kept, since actions come in runs."""
        if self._parent is None or self._parent[0] != path:
            self._forget()
            with self._root.directory(path) as fd:
                self._parent = (path, os.dup(fd))
        return self._parent[1]

    def remove(self, path: str) -> int:
        """Remove the file, link or tree at PATH."""
        parent, name = os.path.split(path)
        if not name:
            raise OSError(errno.EBUSY, "the root directory cannot be removed")
        fd = self._directory(parent)
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(name, dir_fd=fd)
            return found.st_size
        dev = os.fstat(fd).st_dev
        if found.st_dev != dev:
            raise OSError(errno.EBUSY, "is a mount point")
        return _remove_tree(name, fd, dev)

    def empty(self, path: str) -> int:
        """Remove everything in the directory PATH, which stays."""
        with self._root.directory(path) as fd:
            return _empty(fd, os.fstat(fd).st_dev)

    def truncate(self, path: str) -> int:
        """Cut the regular file PATH to nothing, keeping inode, owner and mode."""
        parent, name = os.path.split(path)
        fd = os.open(name, _FILE, dir_fd=self._directory(parent))
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            os.ftruncate(fd, 0)
            return found.st_size
        finally:
            os.close(fd)

    def write(self, path: str, content: bytes, mode: int) -> int:
        """Put a file of CONTENT and MODE at PATH, whole or not at all; a link there is replaced."""
        parent, name = os.path.split(path)
        directory = self._directory(parent)
        draft = f".{name}.{secrets.token_hex(4)}"
        fd = os.open(draft, _DRAFT, 0o600, dir_fd=directory)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=directory)
            raise
        return len(content)


def _remove_tree(name: str, parent: int, dev: int) -> int:
    """Remove the directory NAME in PARENT with all below it that is on the device DEV."""
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        size = _empty(fd, dev)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)
    return size


def _empty(top: int, dev: int) -> int:
    """Remove all below the directory TOP; one error does not spare the rest, the first is raised.

    Goes down by one descriptor a level and comes up through `..`-less parents: a stack of our own,
    since hostile trees are deeper than Python's.
    """
    size = 0
    first: OSError | None = None
    stack: list[tuple[str, int, Iterator[os.DirEntry[str]]]] = [("", os.dup(top), _scan(top))]
    try:
        while stack:
            name, fd, entries = stack[-1]
            try:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        deeper = _enter(entry.name, fd, dev)
                        stack.append((entry.name, deeper, _scan(deeper)))
                        break
                    size += entry.stat(follow_symlinks=False).st_size
                    os.unlink(entry.name, dir_fd=fd)
                else:
                    stack.pop()
                    os.close(fd)
                    if stack:
                        os.rmdir(name, dir_fd=stack[-1][1])
            except FileNotFoundError:
                continue
            except OSError as error:
                first = first or error
    finally:
        for _, fd, _ in stack:
            os.close(fd)
    if first:
        raise first
    return size


def _scan(fd: int) -> Iterator[os.DirEntry[str]]:
    return os.scandir(fd)


def _enter(name: str, parent: int, dev: int) -> int:
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    if os.fstat(fd).st_dev != dev:
        os.close(fd)
        raise OSError(errno.EBUSY, f"{name} is a mount point")
    return fd
