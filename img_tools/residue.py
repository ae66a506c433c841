"""The catalogue applied to an image: what a check says of it, and what a cleaner does about it.

A check reads a topic through `findings`; the cleaner of the same topic reads the same `matches`, so
that what is flagged is what gets removed (row B1).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field

from img_tools.actions import SHOWN, Action, Empty, Remove, RemoveFiles, Truncate
from img_tools.catalogue import CATALOGUE, Residue, Treat
from img_tools.host import Host
from img_tools.matching import (
    Crowd,
    Match,
    Test,
    counts,
    describes,
    entry_in,
    matches,
    members,
    search,
)
from img_tools.model import Finding, Undecided
from img_tools.mounts import within

__all__ = ["Match", "Residue", "Treat", "codes", "describes", "findings", "listed", "matches"]

LIMIT = 50  # findings listed of one code; the rest are counted, so that a report stays readable
CROWD = 100  # files of one directory from which on removing them is one action, not as many


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


def codes(topic: str) -> tuple[str, ...]:
    """The codes that findings of TOPIC may have."""
    return tuple(dict.fromkeys(row.code for row in CATALOGUE if row.topic == topic))


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
            yield _rest(host, sample)
    if trouble:
        raise trouble


def _finding(host: Host, match: Match) -> Finding:
    row, entry = match.residue, match.entry
    name = f"{match.link} (a link to {entry.path})" if match.link else entry.path
    return Finding(
        status=row.severity, code=row.code, path=match.path, account=match.account,
        message=f"{name}: {row.why}", evidence={"bytes": entry.size} if entry.is_file else {},
        remediation=_fix(host, match),
    )


def _rest(host: Host, sample: _Sample) -> Finding:
    row = sample.first[0].residue
    fix = "do the same for the rest"
    if row.treat is not Treat.REPORT:
        some = f"the first {SHOWN} of them" if sample.count > SHOWN else "them all"
        fix = f"{host.clean_command(row.topic, '--dry-run -v')}  # lists {some}"
    return Finding(
        status=row.severity, code=row.code,
        message=f"{sample.count} in all, of which the first {LIMIT} are listed: {row.why}",
        evidence={"count": sample.count}, remediation=fix,
    )


def _fix(host: Host, match: Match) -> str:
    row, path = match.residue, match.entry.path
    if match.outside:
        by_hand = ("look at it and remove it by hand" if match.link is None else
                   f"it may be something else's; the link goes with rm {shlex.quote(match.link)}")
        return f"{path} is outside of the home it is reached from: {by_hand}"
    if row.treat is Treat.REPORT:
        return row.advice.replace("{path}", shlex.quote(path))
    return host.clean_command(row.topic)


def actions(
    host: Host, topic: str, without: Container[str] = (), spared: Test = lambda path: False
) -> Iterator[Action]:
    """What the cleaner of TOPIC does about every match; those it must leave alone are left out.

    So are rows of a code in WITHOUT, and paths for which SPARED is true; it is true of a directory
    if it is of anything below. Paths are resolved but for the last name, since links are not
    followed when it comes to it.
    """
    places, trouble = _Places(host), list[Undecided]()
    for found in search(host, topic):
        row = found.residue if isinstance(found, Match) else found.rule.row
        make = _ACTIONS.get(row.treat)
        if make is None or row.code in without:
            continue
        if isinstance(found, Match):
            yield from _single(found, make, places, spared)
        else:
            yield from _crowd(host, found, make, places, spared, trouble)
    if trouble:
        raise trouble[0]


def _single(
    match: Match, make: Callable[[str, str], Action], places: _Places, spared: Test
) -> Iterator[Action]:
    parent, name = os.path.split(match.entry.path)
    place = None if match.outside else places.of(parent or "/", match.home)
    if place is not None and not spared(match.entry.path):
        yield make(f"{place.rstrip('/')}/{name}", match.residue.why)


def _crowd(
    host: Host, crowd: Crowd, make: Callable[[str, str], Action], places: _Places, spared: Test,
    trouble: list[Undecided],
) -> Iterator[Action]:
    """What is done about CROWD. What cannot be looked at is noted in TROUBLE and hides no other."""
    rule, listing = crowd.rule, crowd.listing
    rest, files = crowd.items, []
    if rule.by_type and listing.dev not in host.volatile:
        rest, any_file = [], rule.row.kind == "name"
        for item in crowd.items:
            if item.is_dir(follow_symlinks=False):
                rest.append(item)
            elif any_file or item.is_file(follow_symlinks=False):
                files.append(item.name)
        if spared(listing.path or "/"):
            files = [name for name in files if not spared(f"{listing.path}/{name}")]
    place = places.of(listing.path or "/", None) if files else None
    if place is not None:
        action = RemoveFiles(place, tuple(files), rule.row.why)
        yield from [action] if len(files) >= CROWD else action.each()
    for item in rest:
        try:
            entry = entry_in(listing, item)
            counted = entry and counts(host, rule, entry)
        except Undecided as undecided:  # another one's FUSE mount, which root may not look at
            trouble.append(undecided)
            continue
        if entry and counted:
            yield from _single(Match(rule.row, entry), make, places, spared)


class _Places:
    """Where directories really are; the last answer is kept, since matches come in runs."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._last: tuple[str, str | None, str | None] = ("", None, None)

    def of(self, parent: str, home: str | None) -> str | None:
        """See _place()."""
        if self._last[:2] != (parent, home):
            self._last = (parent, home, _place(self._host, parent, home))
        return self._last[2]


def in_use(host: Host, topic: str) -> Iterator[str]:
    """Paths that cleaning TOPIC would remove if no running process used them."""
    for found in search(host, topic) if host.in_use("/") else ():
        if isinstance(found, Match):
            matched = [found] if host.in_use(found.entry.path) else []
        else:
            matched = list(members(host, found, host.in_use)) if host.in_use(
                found.listing.path or "/") else []
        yield from (match.entry.path for match in matched
                    if match.residue.treat is Treat.REMOVE and not match.outside)


def _place(host: Host, parent: str, home: str | None) -> str | None:
    """Where the directory PARENT really is, None when somebody could have led us there.

    Whoever owns a link chooses where it leads, and may have put it there since PARENT was looked
    at: so what is judged is what this very look finds. In a HOME links may lead about in that home;
    elsewhere only root's count (/var/spool/mail is one).
    """
    if home is not None:
        place = host.root.resolve(parent)
        return place if within(place, home) else None
    return host.root.resolve_trusted(parent)


_ACTIONS: dict[Treat, Callable[[str, str], Action]] = {
    Treat.REMOVE: Remove, Treat.TRUNCATE: Truncate, Treat.EMPTY: Empty,
}
