"""Where SSH keys of accounts lie: ~/.ssh, the top of each home, and what AuthorizedKeysFile names.

What is found is told by content, so that a key is a key under any name.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from posixpath import basename
from typing import Protocol

from img_tools import sshkeys
from img_tools.entries import Entry, LinkLoop
from img_tools.model import Undecided
from img_tools.rootfs import RootFS, literal
from img_tools.sshd import SshdConfig
from img_tools.sshkeys import Key

MAX_FILES = 5000  # looked into in one ~/.ssh; who has more is told that the rest was not read
MAX_TOP = 20_000  # likewise in the top directory of a home
TOP_LIMIT = 1 << 20  # bytes; a larger file in the top directory of a home is no key file
AUTHORIZED_LIMIT = 16 << 20  # bytes of authorized_keys
SSH_LIMIT = 1 << 20  # bytes read of any other file in ~/.ssh
DEFAULT = (".ssh/authorized_keys", ".ssh/authorized_keys2")  # sshd_config(5)


class Kind(StrEnum):
    """What lies there."""

    AUTHORIZED = "authorized-key"
    NOT_A_KEY = "authorized-line"  # neither key nor comment
    PRIVATE = "private-key"
    EMPTY = "empty-key-file"
    PUBLIC = "public-key"
    CERTIFICATE = "certificate"
    KNOWN_HOSTS = "known-hosts"
    SETTINGS = "ssh-settings"
    OTHER = "other-file"


@dataclass(frozen=True, slots=True)
class Stored:
    """Something that SSH uses. `path` is where it was found, `target` the file that this leads to.

    `outside` is set when that lies outside of the home: root must not clean there, since whoever
    owns the home chooses where that is; and for a file that no account has its keys in.
    """

    kind: Kind
    path: str
    target: str
    size: int = 0
    account: str | None = None
    line: int | None = None
    key: Key | None = None
    outside: bool = False


class HasHome(Protocol):
    """A home and the account it belongs to."""

    @property
    def path(self) -> str:
        """The home, without links."""

    @property
    def account(self) -> str:
        """The account's name."""


_KINDS = {"known_hosts": Kind.KNOWN_HOSTS, "config": Kind.SETTINGS, "environment": Kind.SETTINGS,
          "rc": Kind.SETTINGS}
_KEY_NAME = re.compile(r"id_[a-z0-9_]+|.*\.(pem|key|ppk)|.*_key")


class Store:
    """What the accounts with HOMES keep for SSH in the image at ROOT.

    CONFIG is the server's configuration, None without a server, or when it cannot be read for the
    reason TROUBLE. Nothing on a device in VOLATILE is part of a snapshot. NAMES are the names and
    the ids of all accounts: what AuthorizedKeysFile's %u and %U stand for.
    """

    def __init__(self, root: RootFS, homes: Sequence[HasHome], config: SshdConfig | None,
                 volatile: Container[int] = (), trouble: str = "",
                 names: Container[str] = ()) -> None:
        self._root = root
        self._homes = homes
        self._volatile = volatile
        self._names = names
        self._patterns = DEFAULT + tuple(
            arg for item in (config.all("AuthorizedKeysFile") if config else ())
            for arg in item.args if arg.lower() != "none" and arg not in DEFAULT)
        self._unread = [trouble] if trouble else []
        self._seen: set[str] = set()
        self._seen_outside: set[str] = set()
        self._trouble: list[str] = []

    def __iter__(self) -> Iterator[Stored]:
        """Everything that is stored. Raises Undecided after it for what could not be read.

        A file is its own home's before it is one that a link in another home leads to. Each walk
        remembers for itself what it has met: checks walk side by side.
        """
        walk = copy.copy(self)
        walk._seen, walk._seen_outside, walk._trouble = set(), set(), list(self._unread)
        return walk._sorted()

    def _sorted(self) -> Iterator[Stored]:
        outside: list[Stored] = []
        for item in self._all():
            if item.outside:
                outside.append(item)
            else:
                yield item
        yield from (item for item in outside if item.target not in self._seen)
        if self._trouble:
            rest = f" (and {len(self._trouble) - 3} more)" if len(self._trouble) > 3 else ""
            raise Undecided("; ".join(self._trouble[:3]) + rest)

    def _all(self) -> Iterator[Stored]:
        for pattern in self._patterns:
            if pattern.startswith("/") and "%h" not in pattern:
                yield from self._authorized(pattern, None)
        for home in self._homes:
            for pattern in self._patterns:
                if not pattern.startswith(("/", "%h")):
                    yield from self._authorized(f"%h/{pattern}", home)
                elif "%h" in pattern:
                    yield from self._authorized(pattern, home)
            yield from self._guarded(self._directory(home))
            yield from self._guarded(self._top(home))

    def _first(self, target: str, *, outside: bool) -> bool:
        """True when TARGET was not met before."""
        seen = self._seen_outside if outside else self._seen
        known = target in seen
        seen.add(target)
        return not known

    def _guarded(self, found: Iterator[Stored]) -> Iterator[Stored]:
        """FOUND; what cannot be read does not hide the rest."""
        try:
            yield from found
        except FileNotFoundError:
            return  # gone since: a live system
        except Undecided as undecided:
            self._trouble.append(str(undecided))

    def _file(self, path: str) -> Entry | None:
        """What PATH leads to, None for nothing, for a loop and for what no snapshot holds."""
        try:
            entry = self._root.stat(path, follow=True)
        except LinkLoop:
            return None
        return None if entry is None or entry.dev in self._volatile else entry

    # -- authorized keys ---------------------------------------------------------------------

    def _authorized(self, pattern: str, home: HasHome | None) -> Iterator[Stored]:
        words = re.compile(_translated(pattern, home, "([^/]+)", re.escape))
        try:
            for entry in self._root.glob(_translated(pattern, home, "*", literal)):
                name = basename(entry.path) if pattern.endswith("/%u") else None
                account = home.account if home else name
                found = words.fullmatch(entry.path)
                named = found is not None and all(word in self._names for word in found.groups())
                yield from self._guarded(self._keys_of(entry.path, account, home, named))
        except LinkLoop:
            return  # nothing can lie behind it
        except Undecided as undecided:
            self._trouble.append(str(undecided))

    def _keys_of(
        self, path: str, account: str | None, home: HasHome | None, named: bool
    ) -> Iterator[Stored]:
        """The keys in the file at PATH, which the server reads for an account if NAMED.

        Otherwise it is whatever else lies beside such files: with `/etc/ssh/%u` sshd_config too.
        Its keys are told all the same, since a clone may get an account of that name.
        """
        entry = self._file(path)
        target, outside = self._place(path, home) if entry else (path, False)
        outside = outside or not named
        if entry is None or not entry.is_file or not self._first(target, outside=outside):
            return  # a link to /dev/null lets nobody in; the walk over ~/.ssh names the rest
        data = self._root.read_bytes(path, AUTHORIZED_LIMIT, head=True)
        if entry.size > AUTHORIZED_LIMIT:
            self._trouble.append(f"{path} is larger than {AUTHORIZED_LIMIT} bytes, of which the "
                                 "rest was not read")
        if private := sshkeys.private(data):
            yield Stored(Kind.PRIVATE, path, target, entry.size, account, None, private, outside)
        junk = False
        for number, line in enumerate(data.split(b"\n"), 1):
            if not line.strip() or line.lstrip().startswith(b"#"):
                continue
            key = sshkeys.public_line(line)
            if key or (named and not (junk or private)):
                yield Stored(Kind.AUTHORIZED if key else Kind.NOT_A_KEY, path, target, entry.size,
                             account, number, key, outside)
            junk = junk or key is None

    def _place(self, path: str, home: HasHome | None) -> tuple[str, bool]:
        """Where PATH leads, and whether root must not clean there: see Stored.outside."""
        if home is None:
            place = self._root.resolve_trusted(path)
            return (self._root.resolve(path), True) if place is None else (place, False)
        target = self._root.resolve(path)
        return target, not _within(target, home)

    # -- ~/.ssh ------------------------------------------------------------------------------

    def _directory(self, home: HasHome) -> Iterator[Stored]:
        pending, entered, count = [f"{home.path.rstrip('/')}/.ssh"], set[str](), 0
        while pending:
            path = pending.pop()
            entry = self._file(path)
            if entry is None or (place := self._root.resolve(path)) in entered:
                continue
            entered.add(place)
            if not entry.is_dir:
                yield from self._guarded(self._classified(path, home))
                continue
            for inner in self._root.walk(path):
                if inner.is_dir or inner.dev in self._volatile:
                    continue
                count += 1
                if count > MAX_FILES:
                    self._trouble.append(f"{home.path}/.ssh holds over {MAX_FILES} files, of which "
                                         "the rest was not read: remove what is not needed")
                    return
                if inner.is_link and (leads := self._file(inner.path)) and leads.is_dir:
                    pending.append(inner.path)
                else:
                    yield from self._guarded(self._classified(inner.path, home))

    def _classified(self, path: str, home: HasHome) -> Iterator[Stored]:
        """What the file at PATH in ~/.ssh is."""
        link, entry = self._root.stat(path), self._file(path)
        target = self._root.resolve(path) if entry else path
        outside = not _within(target, home)
        if entry is None or (link and link.is_link and target.startswith("/dev/")) or (
                not self._first(target, outside=outside)):
            return
        if not entry.is_file:  # a socket, a FIFO: nothing to read, yet nothing that belongs there
            yield Stored(Kind.OTHER, path, target, 0, home.account, outside=outside)
            return
        name = basename(path)
        kind, key = _told(name, self._root.read_bytes(path, SSH_LIMIT, head=True))
        if kind:
            yield Stored(kind, path, target, entry.size, home.account, None, key, outside)

    # -- the top of a home -------------------------------------------------------------------

    def _top(self, home: HasHome) -> Iterator[Stored]:
        """Private keys right in the home, where `ssh-keygen -f deploy` leaves them."""
        base = home.path.rstrip("/")
        names = self._root.listdir(home.path)
        if len(names) > MAX_TOP:
            self._trouble.append(f"{home.path} holds over {MAX_TOP} files, of which the rest was "
                                 "not searched for private keys")
        for name in names[:MAX_TOP]:
            path = f"{base}/{name}"
            entry = self._root.stat(path)
            if entry is None or not entry.is_file or not 0 < entry.size <= TOP_LIMIT or (
                    entry.dev in self._volatile or path in self._seen):
                continue
            yield from self._guarded(self._private(path, entry, home.account))

    def _private(self, path: str, entry: Entry, account: str) -> Iterator[Stored]:
        key = sshkeys.private(self._root.read_bytes(path, sshkeys.HEAD, head=True))
        if key:
            self._seen.add(path)
            yield Stored(Kind.PRIVATE, path, path, entry.size, account, None, key)


def _told(name: str, data: bytes) -> tuple[Kind | None, Key | None]:
    """What a file of ~/.ssh is: by content first, by name where content does not tell."""
    if not data.strip():
        return (Kind.EMPTY if _KEY_NAME.fullmatch(name) else None), None
    if key := sshkeys.private(data):
        return Kind.PRIVATE, key
    stem = name.removesuffix(".old").removesuffix("2")  # as ssh-keygen -R leaves it; protocol 2
    if stem in _KINDS:
        return _KINDS[stem], None
    key = sshkeys.public(data)
    if key:
        return (Kind.CERTIFICATE if sshkeys.CERTIFICATE in key.kind else Kind.PUBLIC), key
    return Kind.OTHER, None


def _within(path: str, home: HasHome) -> bool:
    return path.startswith(home.path.rstrip("/") + "/")


def _translated(pattern: str, home: HasHome | None, any_name: str,
                literally: Callable[[str], str]) -> str:
    """An expression for every path that AuthorizedKeysFile's PATTERN may mean (sshd_config(5)).

    What stands for the name of an account becomes ANY_NAME, the rest is taken LITERALLY.
    """
    def token(found: re.Match[str]) -> str:
        match found[0]:
            case "%h" if home:
                return literally(home.path.rstrip("/"))
            case "%u" | "%U" | "%h":
                return any_name
            case "%%":
                return "%"
            case other:
                return literally(other)
    plain = "/".join(part for part in pattern.split("/") if part not in ("", "."))
    rooted = plain if pattern.startswith("%h") else f"/{plain}"
    return re.sub(r"%.|[^%]+|%", token, rooted)
