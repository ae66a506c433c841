"""The catalogue applied to an image: what of it is there.

A check reads a topic through `findings`; the cleaner of the same topic reads the same `matches`, so
that what is flagged is what gets removed (row B1).
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import shlex
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby

from img_tools.actions import Action, Empty, Remove, Truncate
from img_tools.catalogue import CATALOGUE, Residue, Treat
from img_tools.host import Home, Host
from img_tools.model import Finding, Undecided, printable
from img_tools.rootfs import Entry, LinkLoop, Unreadable

__all__ = ["Match", "Residue", "Treat", "describes", "findings", "listed", "matches"]

LIMIT = 50  # findings listed of one code; the rest are counted, so that a report stays readable
SEARCHED = 4 << 20  # bytes of a file's content that `holds` looks at, in pieces of PIECE
PIECE = 1 << 18
WILD = re.compile(r"[*?\[]").search

Test = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Match:
    """A leftover that is there: `entry` is what to clean. `account` owns the home it lies in.

    `link` is the link in a home that led to it. `outside` is set when it lies outside of that home:
    root must not clean there, since whoever owns the `home` chooses where that is.
    """

    residue: Residue
    entry: Entry
    account: str | None = None
    link: str | None = None
    outside: bool = False
    home: str | None = None

    @property
    def path(self) -> str:
        """Where it was found."""
        return self.link or self.entry.path


@dataclass(frozen=True, slots=True)
class _Rule:
    """A row, its globs compiled: `base` stands before `**`, `name` after it, `fits` tests one."""

    row: Residue
    base: str | None
    name: str
    fits: Test
    kept: Test | None
    kept_dir: Test | None

    def keeps(self, entry: Entry) -> bool:
        """True for what does not count although the pattern fits."""
        return bool((self.kept and self.kept(entry.path))
                    or (self.kept_dir and entry.is_dir and self.kept_dir(entry.path + "/")))


@cache
def _rules(topic: str) -> tuple[_Rule, ...]:
    return tuple(_rule(row) for row in CATALOGUE if row.topic == topic)


def _rule(row: Residue) -> _Rule:
    base, deep, tail = row.pattern.partition("/**")
    name = tail.lstrip("/") or "*"
    return _Rule(
        row, base if deep else None, name, _any_of([name]),
        _any_of([glob for glob in row.keep if not glob.endswith("/")]) if row.keep else None,
        _any_of([glob for glob in row.keep if glob.endswith("/")]) if row.keep else None,
    )


def _any_of(globs: Iterable[str]) -> Test:
    return re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)").match


def matches(host: Host, topic: str) -> Iterator[Match]:
    """Everything in the image that the rows of TOPIC describe, in no order.

    What cannot be read does not hide the rest: Undecided is raised when all else has been told.
    """
    trouble: list[Undecided] = []
    for source in _sources(host, _rules(topic)):
        try:
            yield from source
        except Undecided as undecided:
            trouble.append(undecided)
    if trouble:
        raise trouble[0]


def _sources(host: Host, rules: tuple[_Rule, ...]) -> Iterator[Iterator[Match]]:
    """One iterator for each place to look at: a tree, a pattern, a home."""
    deep = sorted((rule for rule in rules if rule.base), key=lambda rule: str(rule.base))
    for base, group in groupby(deep, key=lambda rule: str(rule.base)):
        yield _below(host, base, tuple(group))
    at_home = [rule for rule in rules if rule.row.pattern.startswith("~/")]
    seen: set[str] = set()
    for rule in rules:
        pattern = rule.row.pattern
        if not rule.base and rule not in at_home and _first_time(host, rule.row, seen):
            yield (Match(rule.row, entry) for entry in host.root.glob(pattern)
                   if _counts(host, rule, entry))
    for home in host.homes if at_home else ():
        yield _in_home(host, home, at_home, seen)


def _first_time(host: Host, row: Residue, seen: set[str]) -> bool:
    """False for a pattern that names a place again: /var/spool/mail is a link to /var/mail."""
    base, _, name = row.pattern.rpartition("/")
    try:
        place = f"{base if _wild(base) else host.root.resolve(base or '/')}/{name}"
    except LinkLoop:
        return False  # nothing can lie there
    if f"{row.kind} {place}" in seen:
        return False
    seen.update((place, f"{row.kind} {place}"))
    return True


def _below(host: Host, base: str, rules: tuple[_Rule, ...]) -> Iterator[Match]:
    """What lies below BASE, all of it looked at once; it may be 100,000 files."""
    special = _any_of(rule.name for rule in rules if rule.name != "*")
    others = [rule for rule in rules if rule.name == "*"]
    for entry in host.root.walk(base):
        name = entry.path.rpartition("/")[2]
        for rule in rules if special(name) else others:
            if rule.fits(name) and not rule.keeps(entry):
                if _counts(host, rule, entry):
                    yield Match(rule.row, entry)
                break


def _in_home(host: Host, home: Home, rules: list[_Rule], seen: set[str]) -> Iterator[Match]:
    """What lies in HOME, but for the places SEEN already; the home of some accounts is /.

    It is listed once, since there may be 10,000 homes and there are dozens of patterns.
    """
    names = host.root.listdir(home.path)
    present = set(names)
    base = home.path.rstrip("/")
    for rule in rules:
        tail = rule.row.pattern[2:]
        head = tail.partition("/")[0]
        if head not in present and not (_wild(head) and fnmatch.filter(names, head)):
            continue
        if f"{home.path}/{tail}" in seen:
            continue
        for found in host.root.glob(f"{base}/{tail}"):
            entry = _target(host, rule, found)
            if entry is not None and _counts(host, rule, entry):
                where = host.root.resolve(os.path.dirname(entry.path))
                yield Match(rule.row, entry, home.account,
                            link=found.path if found.is_link and entry is not found else None,
                            outside=not _within(where, home.path), home=home.path)


def _within(path: str, home: str) -> bool:
    return path == home or path.startswith(home.rstrip("/") + "/")


def _target(host: Host, rule: _Rule, entry: Entry) -> Entry | None:
    """The file that a link in a home leads to: its content is in the image all the same."""
    if not entry.is_link or rule.row.kind != "file":
        return entry
    try:
        return host.root.stat(host.root.resolve(entry.path))
    except LinkLoop:
        return None  # a link that leads nowhere holds nothing


def _counts(host: Host, rule: _Rule, entry: Entry) -> bool:
    if rule.keeps(entry) or entry.dev in host.volatile or host.owns(entry.path):
        return False
    match rule.row.kind:
        case "file":
            return entry.is_file and entry.size > 0 and _holds(host, rule.row, entry)
        case "present":
            return entry.is_file
        case "tree":
            return entry.is_dir and bool(host.root.listdir(entry.path))
        case "empty":
            return entry.is_dir and not host.root.listdir(entry.path)
        case _:
            return True


def _holds(host: Host, row: Residue, entry: Entry) -> bool:
    """True when the content is what makes it a leftover; what is too large to tell counts too."""
    if not row.holds:
        return True
    wanted = re.compile(row.holds, re.DOTALL | re.MULTILINE)
    offset = looked = 0
    try:
        with host.root.open(entry.path) as file:
            while looked < SEARCHED:
                offset, piece = _piece(file.fileno(), offset)
                if not piece or wanted.search(piece):
                    return bool(piece)
                offset += len(piece)
                looked += len(piece)
    except FileNotFoundError:
        return False  # gone since: a live system
    except OSError as error:
        raise Unreadable(f"{printable(entry.path)}: {error.strerror}") from None
    return True


def _piece(fd: int, offset: int) -> tuple[int, bytes]:
    """The next data of FD from OFFSET on, and where it is; empty at the end.

    Holes are passed over: lastlog(8) is a file of up to a terabyte that is all hole.
    """
    try:
        offset = os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # no data from here on
            return offset, b""
        raise
    return offset, os.pread(fd, PIECE, offset)


def _wild(text: str) -> bool:
    return WILD(text) is not None


@dataclass(slots=True)
class _Sample:
    """The first LIMIT matches of one code by path, and how many there are."""

    count: int = 0
    first: list[Match] = field(default_factory=list)

    def add(self, match: Match) -> None:
        """Count MATCH; keeps 2 * LIMIT at most, so that memory does not grow with the tree."""
        self.count += 1
        self.first.append(match)
        if len(self.first) >= 2 * LIMIT:
            self.trim()

    def trim(self) -> list[Match]:
        """Keep the first LIMIT and return them."""
        self.first = sorted(self.first, key=lambda match: match.path)[:LIMIT]
        return self.first


def findings(host: Host, topic: str) -> Iterator[Finding]:
    """A finding for every match of TOPIC; past LIMIT of one code, one that counts them all."""
    return listed(host, matches(host, topic))


def listed(host: Host, found: Iterable[Match]) -> Iterator[Finding]:
    """The matches FOUND as findings; see findings(). Undecided comes after what was found."""
    samples: dict[str, _Sample] = {}
    trouble: Undecided | None = None
    try:
        for match in found:
            samples.setdefault(match.residue.code, _Sample()).add(match)
    except Undecided as undecided:
        trouble = undecided
    for sample in samples.values():
        yield from (_finding(host, match) for match in sample.trim())
        if sample.count > LIMIT:
            yield _rest(sample)
    if trouble:
        raise trouble


def describes(topic: str, name: str) -> bool:
    """True when TOPIC has a row for the file called NAME in a home."""
    return any(fnmatch.fnmatchcase(f"~/{name}", rule.row.pattern) for rule in _rules(topic))


def _finding(host: Host, match: Match) -> Finding:
    row, entry = match.residue, match.entry
    name = f"{match.link} (a link to {entry.path})" if match.link else entry.path
    return Finding(
        status=row.severity, code=row.code, path=match.path, account=match.account,
        message=f"{name}: {row.why}", evidence={"bytes": entry.size} if entry.is_file else {},
        remediation=_fix(host, match),
    )


def _rest(sample: _Sample) -> Finding:
    row = sample.first[0].residue
    return Finding(
        status=row.severity, code=row.code,
        message=f"{sample.count} in all, of which the first {LIMIT} are listed: {row.why}",
        evidence={"count": sample.count}, remediation="do the same for the rest",
    )


def _fix(host: Host, match: Match) -> str:
    row, path = match.residue, match.entry.path
    if match.outside:
        return f"{path} is outside of the home it is reached from: look at it and remove it by hand"
    if row.treat is Treat.REPORT:
        return row.advice.replace("{path}", shlex.quote(path))
    return host.clean_command(row.topic)


def actions(host: Host, topic: str, without: Container[str] = ()) -> Iterator[Action]:
    """What the cleaner of TOPIC does about every match; those it must leave alone are left out.

    So are rows of a code in WITHOUT. Paths are resolved but for the last name, since links are not
    followed when it comes to it.
    """
    parents: tuple[str, str | None] = ("", None)
    for match in matches(host, topic):
        make = _ACTIONS.get(match.residue.treat)
        if make is None or match.outside or match.residue.code in without:
            continue
        parent, name = os.path.split(match.entry.path)
        if parents[0] != parent:
            parents = (parent, _place(host, parent or "/", match.home))
        if parents[1] is not None:
            yield make(f"{parents[1].rstrip('/')}/{name}", match.residue.why)


def _place(host: Host, parent: str, home: str | None) -> str | None:
    """Where the directory PARENT really is, None when somebody could have led us there.

    Whoever owns a link chooses where it leads, and may have put it there since PARENT was looked
    at: so what is judged is what this very look finds. In a HOME links may lead about in that home;
    elsewhere only root's count (/var/spool/mail is one).
    """
    if home is not None:
        place = host.root.resolve(parent)
        return place if _within(place, home) else None
    return host.root.resolve_trusted(parent)


_ACTIONS: dict[Treat, Callable[[str, str], Action]] = {
    Treat.REMOVE: Remove, Treat.TRUNCATE: Truncate, Treat.EMPTY: Empty,
}
