"""Names in a directory and what they are; directories are listed through descriptors."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from img_tools.model import Undecided, printable

MAX_DEPTH = 200  # directories; each open one costs a descriptor, of which a process has 1024
LISTED = 1000  # names read of a directory at a time: a directory may hold millions

# Nothing can lie there. ELOOP is not among them: a loop of links is something, if nothing readable.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Unreadable(Undecided):
    """A file is there but cannot be read as what it should be."""


class LinkLoop(Unreadable):
    """Links that lead round in a circle."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in the image and what it is; links are described, not followed. `size` in bytes."""

    path: str
    mode: int
    size: int
    uid: int
    gid: int
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


@dataclass(frozen=True, slots=True)
class Listing:
    """Some names of the directory `path`, which lies on the device `dev`; links are not followed.

    `items` can be asked what they are only until the next listing is read. Their types came with
    their names and cost nothing; looking at each of 200,000 files takes a third of a second.
    """

    path: str
    items: list[os.DirEntry[str]]
    dev: int
    fd: int

    def open(self, item: os.DirEntry[str]) -> int:
        """A descriptor of ITEM, which must be a regular file here. Raises OSError."""
        return os.open(item.name, FILE, dir_fd=self.fd)

    def entry(self, item: os.DirEntry[str]) -> Entry:
        """What ITEM of this listing is. Raises FileNotFoundError when it is gone."""
        return entry_of(f"{self.path}/{item.name}", item.stat(follow_symlinks=False))


def listings(
    top: int, base: str, deep: bool, enters: Callable[[str], object] = lambda path: True
) -> Iterator[Listing]:
    """List below the descriptor TOP and close it; a stack of our own, since trees are deep.

    Of the directories below those are left out whose path ENTERS says no to.
    """
    stack: list[_Level] = []
    try:
        stack.append(_Level(base, top))
        while stack:
            level = stack[-1]
            if level.below:
                if len(stack) > MAX_DEPTH:
                    raise Unreadable(f"{printable(level.path)}: over {MAX_DEPTH} directories deep")
                with contextlib.suppress(FileNotFoundError):  # gone since: a live system
                    stack.append(level.enter(level.below.pop()))
                continue
            listing = level.next()
            if listing.items:
                yield listing
                level.below = [name for name in _directories(listing)
                               if enters(f"{listing.path}/{name}")] if deep else []
            else:
                stack.pop().close()
    finally:
        for level in stack:
            level.close()


def _directories(listing: Listing) -> list[str]:
    """Names of the directories of LISTING that are on its file system."""
    names = []
    for item in listing.items:
        with contextlib.suppress(FileNotFoundError):
            if (item.is_dir(follow_symlinks=False)
                    and item.stat(follow_symlinks=False).st_dev == listing.dev):
                names.append(item.name)
    return names


class _Level:
    """An open directory on the way down a walk. Owns the descriptor FD, whatever happens.

    `below` are directories found in it that are still to be entered.
    """

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.below: list[str] = []
        self._fd = fd
        self._error: OSError | None = None
        try:
            self._dev = os.fstat(fd).st_dev
            self._scan = os.scandir(fd)
        except BaseException:
            os.close(fd)
            raise

    def next(self) -> Listing:
        """The next names, none at the end."""
        items: list[os.DirEntry[str]] = []
        if self._error:
            raise unreadable(self.path, self._error)
        try:
            while len(items) < LISTED and (item := next(self._scan, None)) is not None:
                items.append(item)
        except FileNotFoundError:  # this very directory was removed meanwhile
            pass
        except OSError as error:
            if not items:
                raise unreadable(self.path, error) from None
            self._error = error  # told when these have been seen
        return Listing(self.path, items, self._dev, self._fd)

    def enter(self, name: str) -> _Level:
        """The directory NAME, found here. Raises FileNotFoundError when it is gone."""
        path = f"{self.path}/{name}"
        try:
            return _Level(path, enter(name, self._fd))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise unreadable(path, error) from None

    def close(self) -> None:
        """Let the descriptors go."""
        self._scan.close()
        os.close(self._fd)


def enter(name: str, fd: int) -> int:
    """The directory NAME in the directory FD, opened."""
    try:
        return os.open(name, DIRECTORY, dir_fd=fd)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            # It was none when the path was resolved: that must not look like "nothing there".
            raise OSError(errno.ELOOP, "became a link while it was looked at") from None
        raise


def entry_of(path: str, found: os.stat_result) -> Entry:
    """What stat() FOUND at PATH."""
    return Entry(path, found.st_mode, found.st_size, found.st_uid, found.st_gid, found.st_mtime,
                 found.st_dev)


def absent(error: OSError | ValueError, *more: int) -> bool:
    """True for an error that means: nothing is there. A ValueError is a name with a NUL."""
    return isinstance(error, ValueError) or error.errno in (*_ABSENT, *more)


def unreadable(path: str, error: OSError | ValueError) -> Unreadable:
    """PATH cannot be read because of ERROR."""
    return Unreadable(f"{printable(path)}: {getattr(error, 'strerror', None) or error}")
