"""One look at every file where secrets may lie, shared by the checks that ask for them.

What is searched is read a megabyte at a time into one buffer, so that memory does not grow with
files, and what is not searched is counted: it must not look like searched.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from img_tools import sshkeys
from img_tools.entries import Listing
from img_tools.model import Undecided, printable
from img_tools.rootfs import RootFS
from img_tools.secrets import places, rules
from img_tools.secrets.rules import Rule

PIECE = 1 << 20  # bytes read at a time
OVERLAP = rules.LONGEST  # bytes of a piece that are looked at again with the next one
SEARCHED = 64 << 20  # bytes of a file; what a larger one holds beyond is not searched
KEPT = 1000  # pairs of file and kind of secret that are kept; the rest are counted


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret in the file `path`: the first of its kind there, and how many there are.

    `length` in bytes; `prefix` is what is the same for everybody; `key` describes a private key.
    """

    rule: Rule
    path: str
    line: int
    length: int
    prefix: str
    key: sshkeys.Key | None = None
    count: int = 1


@dataclass(slots=True)
class Scan:
    """What was found, in no order, and what was not searched.

    `larger` are files whose beginning alone was searched, `unread` says what could not be read.
    """

    secrets: list[Secret] = field(default_factory=list)
    more: int = 0
    files: int = 0
    without_text: int = 0
    larger: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def notes(self) -> Iterator[str]:
        """What was not searched, a sentence each."""
        if self.without_text:
            yield (f"not searched: {self.without_text} programs, archives and other files that "
                   "hold no plain text")
        if self.larger:
            shown = ", ".join(self.larger[:3]) + (", ..." if len(self.larger) > 3 else "")
            yield (f"searched in their first {SEARCHED >> 20} MB alone: {len(self.larger)} files "
                   f"({shown})")
        if self.more:
            yield f"{self.more} more files with secrets are not listed"

    def require_whole(self) -> None:
        """Raise Undecided when something could not be read."""
        if self.unread:
            rest = f" (and {len(self.unread) - 3} more)" if len(self.unread) > 3 else ""
            raise Undecided("; ".join(self.unread[:3]) + rest)


Owned = Callable[[Sequence[str]], Container[str]]


def read(
    root: RootFS, homes: Iterable[str], volatile: Container[int], owned: Owned,
    partitions: Callable[[str], Iterable[str]] = lambda place: (),
) -> Scan:
    """Search the image at ROOT, and the HOMES in it, for secrets.

    Nothing on a device in VOLATILE is part of a snapshot. OWNED tells which of some files are as
    the package manager installed them: what is in those is public. PARTITIONS tells where below a
    directory other disks of the image are mounted.
    """
    scan = _Scanner(root, volatile)
    for place in places.directories(root, homes):
        for part in (place, *sorted(partitions(place))):
            scan.tree(part)
    scan.tree("/", deep=False)
    return scan.result(owned)


class _Scanner:
    """Reads files into one buffer. Findings are kept by file and kind."""

    def __init__(self, root: RootFS, volatile: Container[int]) -> None:
        self._root = root
        self._volatile = volatile
        self._buffer = bytearray(PIECE)
        self._view = memoryview(self._buffer)
        self._found: dict[tuple[str, str], Secret] = {}
        self._scan = Scan()

    def tree(self, top: str, *, deep: bool = True) -> None:
        """Search the directory TOP, and with DEEP all below it."""
        try:
            for listing in self._root.listings(top, deep=deep, enters=places.entered):
                if listing.dev in self._volatile:
                    return
                for item in listing.items:
                    self._guarded(listing, item)
        except Undecided as undecided:
            self._scan.unread.append(str(undecided))

    def result(self, owned: Owned) -> Scan:
        """All that was found, but for what packages brought."""
        paths = sorted({secret.path for secret in self._found.values()})
        public = owned(paths) if paths else ()
        self._scan.secrets = [secret for secret in self._found.values()
                              if secret.path not in public]
        if self._scan.more and len(self._scan.secrets) < KEPT:  # what was not kept may be secret
            self._scan.unread.append(
                f"over {KEPT} secrets, and what packages brought are among them: remove those "
                "found, then check again")
        return self._scan

    def _guarded(self, listing: Listing, item: os.DirEntry[str]) -> None:
        """Search ITEM of LISTING if it is a file. What cannot be read is noted."""
        try:
            if not item.is_file(follow_symlinks=False):
                return
            fd = listing.open(item)
            try:
                found = os.fstat(fd)
                if stat.S_ISREG(found.st_mode):  # else it became something else meanwhile
                    self._file(fd, f"{listing.path}/{item.name}", found)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return  # gone since: a live system
        except OSError as error:
            self._scan.unread.append(f"{printable(f'{listing.path}/{item.name}')}: "
                                     f"{error.strerror}")

    def _file(self, fd: int, path: str, found: os.stat_result) -> None:
        """Search the file FD in pieces that overlap. Holes are passed over."""
        self._scan.files += 1
        sparse = found.st_blocks * 512 < found.st_size
        view = self._view
        kept = line = offset = looked = 0
        while looked < SEARCHED:
            offset = _data(fd, offset) if sparse else offset
            got = os.preadv(fd, [view[kept:]], offset)
            if not looked and (
                    self._buffer[:min(got, 8)].startswith(places.NO_TEXT)
                    or path.endswith(".pyc")):
                self._scan.without_text += 1
                return
            end, offset, looked = kept + got, offset + got, looked + got
            last = not got or offset >= found.st_size
            self._piece(path, end, line, end if last else max(end - OVERLAP, 0))
            if last:
                return
            kept = min(OVERLAP, end)
            line += self._buffer.count(b"\n", 0, end - kept)
            view[:kept] = view[end - kept:end]
        self._piece(path, kept, line, kept)
        self._scan.larger.append(printable(path))

    def _piece(self, path: str, end: int, line: int, until: int) -> None:
        """Search END bytes that follow LINE others; what begins after UNTIL comes again."""
        for hit in rules.search(self._buffer, end):
            if hit.start < until:
                self._note(path, line, hit)

    def _note(self, path: str, line: int, hit: rules.Hit) -> None:
        rule, text = hit.rule, bytes(self._buffer[hit.start:hit.end])
        if rule.code == rules.PASSWORD_IN_URL and places.is_git(path):
            rule = rules.GIT_REMOTE
        if (rules.is_placeholder(hit.rule, text) or places.is_example(path)
                or (rule.config and not places.is_settings(path))):
            return
        known = self._found.get((path, rule.code))
        if known:
            self._found[path, rule.code] = replace(known, count=known.count + 1)
            return
        if len(self._found) >= KEPT:
            self._scan.more += 1
            return
        key = sshkeys.private(bytes(self._buffer[hit.start:hit.start + sshkeys.HEAD])) if (
            rule.code == rules.PRIVATE_KEY) else None
        self._found[path, rule.code] = Secret(
            rule, path, line + self._buffer.count(b"\n", 0, hit.start) + 1, len(text),
            text[:rule.public].decode("ascii", "replace"), key)


def _data(fd: int, offset: int) -> int:
    """Where the next data of FD begins, from OFFSET on; the end of the file when there is none."""
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return os.lseek(fd, 0, os.SEEK_END)
        raise
