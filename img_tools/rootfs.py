"""Files of the image, every path resolved as if chrooted into it.

The tree is hostile: links point outside, FIFOs and devices stand where files are expected, names
are not UTF-8. So a path is resolved component by component, links are read and never followed by
the kernel, and what is opened is opened through directory descriptors with O_NOFOLLOW: a link
swapped in meanwhile makes the call fail instead of leaving the image.

Paths are strings absolute inside the image ("/etc/passwd"), undecodable bytes kept as surrogates
(os.fsdecode).
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from img_tools.model import Undecided, printable

MAX_LINKS = 40  # the kernel's own limit (path_resolution(7))
MAX_DEPTH = 200  # directories; each open one costs a descriptor, of which a process has 1024
READ_LIMIT = 64 << 20  # bytes; the largest text we need is dpkg's status file, a few MB

_DIR_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Unreadable(Undecided):
    """A file is there but cannot be read as what it should be."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in the image and what it is; links are described, not followed. `size` in bytes."""

    path: str
    mode: int
    size: int
    uid: int
    mtime: float
    dev: int

    @property
    def is_file(self) -> bool:
        """True for a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_dir(self) -> bool:
        """True for a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """True for a symbolic link, whatever it points to."""
        return stat.S_ISLNK(self.mode)

    @property
    def executable(self) -> bool:
        """True for a regular file with any execute bit."""
        return self.is_file and bool(self.mode & 0o111)


class RootFS:
    """The files below TOP, the directory that is the image's `/`."""

    def __init__(self, top: str = "/") -> None:
        self.top = os.path.realpath(top)

    # -- resolving ---------------------------------------------------------------------------

    def resolve(self, path: str, *, follow: bool = True) -> str:
        """PATH without links, `.` and `..`, as a process chrooted into the image would see it.

        Names that do not exist are kept as they are. With FOLLOW false the last component is not
        followed. Raises Unreadable for a loop of links.
        """
        pending = _parts(path)[::-1]
        done: list[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                del done[-1:]
                continue
            target = self._link([*done, part]) if pending or follow else None
            if target is None:
                done.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise Unreadable(f"{printable(path)}: too many levels of symbolic links")
            if target.startswith("/"):
                done.clear()
            pending.extend(_parts(target)[::-1])
        return "/" + "/".join(done)

    def _link(self, parts: list[str]) -> str | None:
        try:
            return os.readlink("/".join([self.top.rstrip("/"), *parts]))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                return None
            raise _unreadable("/" + "/".join(parts), error) from None

    def host_path(self, path: str) -> str:
        """Where the file that PATH leads to lies on the machine we run on."""
        return self.top.rstrip("/") + self.resolve(path)

    @contextlib.contextmanager
    def _directory(self, path: str) -> Iterator[int]:
        """A descriptor of the directory PATH, which must be resolved already."""
        fd = os.open(self.top, _DIR_FLAGS & ~os.O_NOFOLLOW)
        try:
            for part in _parts(path):
                deeper = os.open(part, _DIR_FLAGS, dir_fd=fd)
                os.close(fd)
                fd = deeper
            yield fd
        finally:
            os.close(fd)

    # -- looking -----------------------------------------------------------------------------

    def stat(self, path: str, *, follow: bool = False) -> Entry | None:
        """What PATH is, None where there is nothing. Raises Unreadable when it cannot be told."""
        resolved = self.resolve(path, follow=follow)
        parent, name = os.path.split(resolved)
        try:
            with self._directory(parent) as fd:
                found = os.stat(name or ".", dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                return None
            raise _unreadable(path, error) from None
        return _entry(path, found)

    def exists(self, path: str) -> bool:
        """True when PATH leads to anything."""
        return self.stat(path, follow=True) is not None

    def is_file(self, path: str) -> bool:
        """True when PATH leads to a regular file."""
        entry = self.stat(path, follow=True)
        return entry is not None and entry.is_file

    def is_dir(self, path: str) -> bool:
        """True when PATH leads to a directory."""
        entry = self.stat(path, follow=True)
        return entry is not None and entry.is_dir

    def readlink(self, path: str) -> str | None:
        """The text of the link PATH, or None when it is none."""
        return self._link(_parts(self.resolve(path, follow=False)))

    def listdir(self, path: str) -> list[str]:
        """Sorted names in the directory PATH; empty when there is none."""
        try:
            with self._directory(self.resolve(path)) as fd:
                return sorted(os.listdir(fd))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return []
            raise _unreadable(path, error) from None

    def glob(self, pattern: str) -> Iterator[Entry]:
        """Everything that matches PATTERN, dot files too, in order; the last name is not followed.

        `*`, `?` and `[...]` match within a name; `**` as a whole component stands for any depth.
        """
        yield from self._glob("/", _parts(pattern))

    def _glob(self, base: str, parts: list[str]) -> Iterator[Entry]:
        if not parts:
            entry = self.stat(base)
            if entry is not None:
                yield entry
            return
        head, rest = parts[0], parts[1:]
        if head == "**":
            last = rest[-1] if rest else "*"
            match = re.compile(fnmatch.translate(last)).match
            for entry in self.walk(base):
                if match(os.path.basename(entry.path)):
                    yield entry
        elif not any(char in head for char in "*?["):
            yield from self._glob(os.path.join(base, head), rest)
        else:
            match = re.compile(fnmatch.translate(head)).match
            for name in self.listdir(base):
                if match(name):
                    yield from self._glob(os.path.join(base, name), rest)

    def walk(self, path: str) -> Iterator[Entry]:
        """Everything below the directory PATH, in no order, links not followed.

        Another file system mounted below is named but not entered: it is not part of the snapshot
        we were asked about, and may be a dead network mount. Memory grows with depth, not size.
        Raises Unreadable for what cannot be entered and below MAX_DEPTH.
        """
        top = self.resolve(path)
        try:
            with self._directory(top) as fd:
                dev = os.fstat(fd).st_dev
                yield from _walk(os.dup(fd), path.rstrip("/"), dev)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise _unreadable(path, error) from None

    # -- reading -----------------------------------------------------------------------------

    def open(self, path: str) -> BinaryIO:
        """The regular file PATH leads to, for reading.

        FileNotFoundError when there is nothing, Unreadable for anything else than a regular file:
        a FIFO or a device in its place would block or act.
        """
        parent, name = os.path.split(self.resolve(path))
        try:
            with self._directory(parent) as directory:
                fd = os.open(name or ".", _FILE_FLAGS, dir_fd=directory)
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
        except OSError as error:
            raise _unreadable(path, error) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Unreadable(f"{printable(path)}: not a regular file")
        return os.fdopen(fd, "rb")

    def read_bytes(self, path: str, limit: int = READ_LIMIT, *, head: bool = False) -> bytes:
        """The content of the file PATH leads to; see open().

        With HEAD the first LIMIT bytes, else Unreadable is raised for a larger file.
        """
        with self.open(path) as file:
            try:
                data = file.read(limit if head else limit + 1)
            except OSError as error:
                raise _unreadable(path, error) from None
        if len(data) > limit:
            raise Unreadable(f"{printable(path)}: larger than {limit} bytes")
        return data

    def read_text(self, path: str, limit: int = READ_LIMIT) -> str:
        """The content of PATH as UTF-8, undecodable bytes kept as surrogates; see read_bytes."""
        return self.read_bytes(path, limit).decode("utf-8", "surrogateescape")

    def read_lines(self, path: str) -> list[str]:
        r"""The lines of PATH split at "\n" alone; empty when there is no such file."""
        try:
            return self.read_text(path).split("\n")
        except FileNotFoundError:
            return []


def _walk(top: int, base: str, dev: int) -> Iterator[Entry]:
    """Walk below the descriptor TOP and close it; a stack of our own, since trees are deep."""
    stack = [(base, top, os.scandir(top))]
    try:
        while stack:
            base, fd, scan = stack[-1]
            item = next(scan, None)
            if item is None:
                _close(*stack.pop()[1:])
                continue
            try:
                entry = _entry(f"{base}/{item.name}", item.stat(follow_symlinks=False))
                yield entry
                if entry.is_dir and entry.dev == dev:
                    if len(stack) >= MAX_DEPTH:
                        raise Unreadable(f"{printable(base)}: over {MAX_DEPTH} directories deep")
                    deeper = os.open(item.name, _DIR_FLAGS, dir_fd=fd)
                    stack.append((entry.path, deeper, os.scandir(deeper)))
            except FileNotFoundError:
                continue  # gone since: a live system
            except OSError as error:
                raise _unreadable(f"{base}/{item.name}", error) from None
    finally:
        for _, fd, scan in stack:
            _close(fd, scan)


def _close(fd: int, scan: Any) -> None:
    scan.close()
    os.close(fd)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _entry(path: str, found: os.stat_result) -> Entry:
    return Entry(path, found.st_mode, found.st_size, found.st_uid, found.st_mtime, found.st_dev)


def _unreadable(path: str, error: OSError) -> Unreadable:
    return Unreadable(f"{printable(path)}: {error.strerror or error}")
