"""The catalogue searched for in an image: which of its rows match, and where.

A row is a glob, there are hundreds of them, and a directory may hold 200,000 names: so rows that
say the same are one rule with one test, and each directory is listed once.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

from img_tools.catalogue import CATALOGUE, Residue, Treat
from img_tools.entries import Entry, LinkLoop, Listing, Unreadable
from img_tools.host import Home, Host
from img_tools.model import Undecided, printable
from img_tools.mounts import within
from img_tools.rootfs import literal

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
    """Rows that say the same, `row` the first, their globs compiled.

    `base` is the directory below which all is looked at, or (without `deep`) whose names are;
    `fits` tests a name. Without a `base` the row's pattern is for RootFS.glob.
    """

    row: Residue
    base: str | None
    deep: bool
    fits: Test
    kept: Test | None
    kept_dir: Test | None

    def keeps(self, path: str, is_dir: bool) -> bool:
        """True for PATH if it does not count although the pattern fits."""
        return bool((self.kept and self.kept(path))
                    or (self.kept_dir and is_dir and self.kept_dir(path + "/")))

    @property
    def by_type(self) -> bool:
        """True when the type of a file, which came with its name, tells whether to remove it."""
        row = self.row
        return row.treat is Treat.REMOVE and row.kind in ("name", "present") and not row.holds


@dataclass(frozen=True, slots=True)
class Crowd:
    """Names of one listing of a directory that a rule describes, but for those it keeps."""

    rule: _Rule
    listing: Listing
    items: list[os.DirEntry[str]]


@cache
def _rules(topic: str) -> tuple[_Rule, ...]:
    alike = groupby((row for row in CATALOGUE if row.topic == topic), key=lambda row: (
        _base(row.pattern), replace(row, pattern="") if _base(row.pattern)[0] else row))
    return tuple(_rule(list(rows)) for _, rows in alike)


def _base(pattern: str) -> tuple[str | None, bool]:
    """The directory that a row with PATTERN is about, and whether all below it, too."""
    base, deep, _ = pattern.partition("/**")
    above = os.path.dirname(pattern)
    if not deep:
        base = "" if pattern.startswith("~/") or _wild(above) or not _wild(pattern) else above
    return base or None, bool(deep)


def _rule(rows: list[Residue]) -> _Rule:
    row, (base, deep) = rows[0], _base(rows[0].pattern)
    names = ["*" if row.pattern.endswith("**") else os.path.basename(row.pattern) for row in rows]
    return _Rule(
        row, base, deep, _any_of(names),
        _any_of([glob for glob in row.keep if not glob.endswith("/")]) if row.keep else None,
        _any_of([glob for glob in row.keep if glob.endswith("/")]) if row.keep else None,
    )


def _any_of(globs: Iterable[str]) -> Test:
    """A test for fitting any of GLOBS. Most begin with `*`: they are looked for from the end."""
    if "*" in (globs := list(globs)):
        return len  # no name is empty
    tests = [fnmatch.translate(glob[1:]) if glob[:1] == "*" and "*" not in glob[1:]
             else rf"\A{fnmatch.translate(glob)}" for glob in globs]
    return re.compile("|".join(tests) or r"(?!)").search


def matches(host: Host, topic: str) -> Iterator[Match]:
    """Everything in the image that the rows of TOPIC describe, in no order.

    What cannot be read does not hide the rest: Undecided is raised when all else has been told.
    """
    for found in search(host, topic):
        if isinstance(found, Match):
            yield found
        else:
            yield from members(host, found)


def members(
    host: Host, crowd: Crowd, wanted: Test = lambda path: True
) -> Iterator[Match]:
    """Those of CROWD that count and whose path is WANTED."""
    for item in crowd.items:
        if wanted(f"{crowd.listing.path}/{item.name}"):
            entry = entry_in(crowd.listing, item)
            if entry and counts(host, crowd.rule, entry):
                yield Match(crowd.rule.row, entry)


def entry_in(listing: Listing, item: os.DirEntry[str]) -> Entry | None:
    """What ITEM of LISTING is, None when it is gone. Raises Unreadable."""
    try:
        return listing.entry(item)
    except FileNotFoundError:  # gone since: a live system
        return None
    except OSError as error:
        path = printable(f"{listing.path}/{item.name}")
        raise Unreadable(f"{path}: {error.strerror}") from None


def search(host: Host, topic: str) -> Iterator[Match | Crowd]:
    """All that may match, in no order; Undecided is raised at the end."""
    trouble: list[Undecided] = []
    for source in _sources(host, _rules(topic)):
        try:
            yield from source
        except Undecided as undecided:
            trouble.append(undecided)
    if trouble:
        raise trouble[0]


def _sources(host: Host, rules: tuple[_Rule, ...]) -> Iterator[Iterator[Match | Crowd]]:
    """One iterator for each place to look at: a tree, a directory, a pattern, a home."""
    deep = sorted((rule for rule in rules if rule.deep), key=lambda rule: str(rule.base))
    for base, group in groupby(deep, key=lambda rule: str(rule.base)):
        rows = tuple(group)
        for place in (base, *sorted(host.partitions(base))):
            yield _listed(host, place, rows, deep=True)
    at_home = [rule for rule in rules if rule.row.pattern.startswith("~/")]
    seen: set[str] = set()
    for rule in rules:
        if rule.deep or rule in at_home or not _first_time(host, rule.row, seen):
            continue
        if rule.base:
            yield _listed(host, rule.base, (rule,), deep=False)
        else:
            yield (Match(rule.row, entry) for entry in host.root.glob(rule.row.pattern)
                   if not rule.keeps(entry.path, entry.is_dir) and counts(host, rule, entry))
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


def _listed(
    host: Host, base: str, rules: tuple[_Rule, ...], *, deep: bool
) -> Iterator[Crowd]:
    """What in BASE, or with DEEP below it, RULES describe; it may be 200,000 files."""
    for listing in host.root.listings(base, deep=deep):
        found: dict[int, list[os.DirEntry[str]]] = {}
        for item in listing.items:
            name = item.name
            for number, rule in enumerate(rules):
                if rule.fits(name) and not (_may_keep(rule, item) and _kept(
                        host, rule, f"{listing.path}/{name}",
                        item.is_dir(follow_symlinks=False))):
                    found.setdefault(number, []).append(item)
                    break
        for number, items in found.items():
            yield Crowd(rules[number], listing, items)


def _kept(host: Host, rule: _Rule, path: str, is_dir: bool) -> bool:
    return rule.keeps(path, is_dir) and not host.of_former_boot(path)


def _may_keep(rule: _Rule, item: os.DirEntry[str]) -> bool:
    return rule.kept is not None or (
        rule.kept_dir is not None and item.is_dir(follow_symlinks=False))


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
        for found in host.root.glob(f"{literal(base)}/{tail}"):
            entry = _target(host, rule, found)
            if (entry is not None and not rule.keeps(entry.path, entry.is_dir)
                    and counts(host, rule, entry)):
                where = host.root.resolve(os.path.dirname(entry.path))
                yield Match(rule.row, entry, home.account,
                            link=found.path if found.is_link and entry is not found else None,
                            outside=not within(where, home.path), home=home.path)


def _target(host: Host, rule: _Rule, entry: Entry) -> Entry | None:
    """The file that a link in a home leads to: its content is in the image all the same."""
    if not entry.is_link or rule.row.kind != "file":
        return entry
    try:
        return host.root.stat(host.root.resolve(entry.path))
    except LinkLoop:
        return None  # a link that leads nowhere holds nothing


def counts(host: Host, rule: _Rule, entry: Entry) -> bool:
    """True when ENTRY, whose name fits RULE, is a leftover by what it is and holds."""
    if entry.dev in host.volatile or host.owns(entry.path):
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
                # Windows' editors put a mark in front, where no line would begin.
                if not piece or wanted.search(piece.removeprefix(b"\xef\xbb\xbf")):
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


def describes(topic: str, name: str) -> bool:
    """True when TOPIC has a row for the file called NAME in a home."""
    return any(fnmatch.fnmatchcase(f"~/{name}", rule.row.pattern) for rule in _rules(topic))
