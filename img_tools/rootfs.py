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
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from img_tools.entries import (
    DIRECTORY,
    FILE,
    Entry,
    LinkLoop,
    Listing,
    Unreadable,
    absent,
    enter,
    entry_of,
    listings,
    unreadable,
)
from img_tools.model import printable

MAX_LINKS = 40  # the kernel's own limit (path_resolution(7))
READ_LIMIT = 64 << 20  # bytes; the largest text we need is dpkg's status file, a few MB

_KINDS = {stat.S_IFDIR: "directory", stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket",
          stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFLNK: "link"}


class _ForeignLink(Exception):
    """A link that belongs to somebody else than root."""


class RootFS:
    """The files below TOP, the directory that is the image's `/`.

    A path that no file can have (too long, or with a NUL) is one where nothing is.
    """

    def __init__(self, top: str = "/") -> None:
        self.top = os.path.realpath(top)

    # -- resolving ---------------------------------------------------------------------------

    def resolve_trusted(self, path: str) -> str | None:
        """resolve(PATH), None when a link on the way is not root's: its owner would choose."""
        try:
            return self.resolve(path, trusted=True)
        except _ForeignLink:
            return None

    def resolve(self, path: str, *, follow: bool = True, trusted: bool = False) -> str:
        """PATH without links, `.` and `..`, as a process chrooted into the image would see it.

        Names that do not exist are kept as they are. With FOLLOW false the last component is not
        followed. With TRUSTED see resolve_trusted(). Raises LinkLoop.
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
            if trusted and not self._is_trusted([*done, part]):
                raise _ForeignLink(printable(path))
            links += 1
            if links > MAX_LINKS:
                raise LinkLoop(f"{printable(path)}: too many levels of symbolic links")
            if target.startswith("/"):
                done.clear()
            pending.extend(_parts(target)[::-1])
        return "/" + "/".join(done)

    def _link(self, parts: list[str]) -> str | None:
        try:
            return os.readlink("/".join([self.top.rstrip("/"), *parts]))
        except (OSError, ValueError) as error:
            if absent(error, errno.EINVAL):
                return None
            raise unreadable("/" + "/".join(parts), error) from None

    def _is_trusted(self, parts: list[str]) -> bool:
        """True when a link belongs to root, or to whom the whole image belongs."""
        try:
            found = os.lstat("/".join([self.top.rstrip("/"), *parts]))
            return stat.S_ISLNK(found.st_mode) and found.st_uid in (0, os.stat(self.top).st_uid)
        except OSError as error:
            raise unreadable("/" + "/".join(parts), error) from None

    def host_path(self, path: str) -> str:
        """Where the file that PATH leads to lies on the machine we run on."""
        return self.top.rstrip("/") + self.resolve(path)

    @contextlib.contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """A descriptor of the directory PATH, which must be resolved already."""
        fd = os.open(self.top, DIRECTORY & ~os.O_NOFOLLOW)
        try:
            for part in _parts(path):
                deeper = enter(part, fd)
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
            with self.directory(parent) as fd:
                found = os.stat(name or ".", dir_fd=fd, follow_symlinks=False)
        except (OSError, ValueError) as error:
            if absent(error):
                return None
            raise unreadable(path, error) from None
        return entry_of(path, found)

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
            with self.directory(self.resolve(path)) as fd:
                return sorted(os.listdir(fd))
        except (OSError, ValueError) as error:
            if absent(error):
                return []
            raise unreadable(path, error) from None

    def glob(self, pattern: str) -> Iterator[Entry]:
        """Everything that matches PATTERN, dot files too, in order; the last name is not followed.

        `*`, `?` and `[...]` match within a name; `**` as a whole component stands for any depth,
        once. A name that `*` finds and that is a loop of links is passed over, as glob(7) does:
        nothing can lie behind it.
        """
        yield from self._glob("/", _parts(pattern))

    def _glob(self, base: str, parts: list[str]) -> Iterator[Entry]:
        plain = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
        base = os.path.join(base, *parts[:plain])
        if plain == len(parts):
            entry = self.stat(base)
            if entry is not None:
                yield entry
            return
        head, rest = parts[plain], parts[plain + 1:]
        if head == "**":
            tests = [_matcher(part) for part in rest or ["*"]]
            for entry in self.walk(base):
                names = entry.path[len(base):].strip("/").split("/")[-len(tests):]
                if len(names) == len(tests) and all(
                    test(name) for test, name in zip(tests, names, strict=True)
                ):
                    yield entry
        else:
            found = filter(_matcher(head), self.listdir(base))
            if not rest:
                yield from self._stats(base, found)
                return
            for name in found:
                below = os.path.join(base, name)
                if self._leads_somewhere(below):
                    yield from self._glob(below, rest)

    def _stats(self, base: str, names: Iterable[str]) -> Iterator[Entry]:
        """stat() of each of NAMES in the directory BASE, which is looked up once for all."""
        path = base
        try:
            with self.directory(self.resolve(base)) as fd:
                for name in names:
                    path = os.path.join(base, name)
                    try:
                        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    except FileNotFoundError:  # gone since: a live system
                        continue
                    yield entry_of(path, found)
        except OSError as error:
            if not absent(error):
                raise unreadable(path, error) from None

    def _leads_somewhere(self, path: str) -> bool:
        try:
            self.resolve(path)
        except LinkLoop:
            return False
        return True

    def walk(self, path: str) -> Iterator[Entry]:
        """Everything below the directory PATH, in no order, links not followed.

        Another file system mounted below is named but not entered: it is not part of the snapshot
        we were asked about, and may be a dead network mount. Memory grows with depth, not size.
        Raises Unreadable for what cannot be entered and below MAX_DEPTH.
        """
        for listing in self.listings(path):
            for item in listing.items:
                with contextlib.suppress(FileNotFoundError):  # gone since: a live system
                    yield listing.entry(item)

    def listings(
        self, path: str, *, deep: bool = True,
        enters: Callable[[str], object] = lambda path: True,
    ) -> Iterator[Listing]:
        """The names in the directory PATH, LISTED at a time, and below it unless DEEP is false.

        Like walk(), but nothing is looked at that is not asked for, and what ENTERS says no to is
        not entered.
        """
        top = self.resolve(path)
        try:
            with self.directory(top) as fd:
                yield from listings(os.dup(fd), path.rstrip("/"), deep, enters)
        except (OSError, ValueError) as error:
            if not absent(error):
                raise unreadable(path, error) from None

    # -- reading -----------------------------------------------------------------------------

    def open(self, path: str) -> BinaryIO:
        """The regular file PATH leads to, for reading.

        FileNotFoundError when there is nothing, Unreadable for anything else than a regular file:
        a FIFO or a device in its place would block or act, so that it is not even opened.
        """
        parent, name = os.path.split(self.resolve(path))
        try:
            with self.directory(parent) as directory:
                return _open_regular(path, name or ".", directory)
        except (OSError, ValueError) as error:
            if absent(error):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
            raise unreadable(path, error) from None

    def read_bytes(self, path: str, limit: int = READ_LIMIT, *, head: bool = False) -> bytes:
        """The content of the file PATH leads to; see open().

        With HEAD the first LIMIT bytes, else Unreadable is raised for a larger file.
        """
        with self.open(path) as file:
            try:
                huge = not head and os.fstat(file.fileno()).st_size > limit
                data = b"" if huge else file.read(limit if head else limit + 1)
            except OSError as error:
                raise unreadable(path, error) from None
        if huge or len(data) > limit:
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


def _open_regular(path: str, name: str, directory: int) -> BinaryIO:
    kind = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    if stat.S_ISREG(kind):
        file = os.fdopen(os.open(name, FILE, dir_fd=directory), "rb")
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(kind):
            return file
        file.close()
    what = _KINDS.get(stat.S_IFMT(kind), "special file")
    raise Unreadable(f"{printable(path)}: a {what}, not a regular file")


def literal(text: str) -> str:
    """A pattern for glob() that fits TEXT alone: the name of a home may hold a `*`."""
    return re.sub(r"([*?[])", r"[\1]", text)


def _matcher(pattern: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(pattern)).match


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
