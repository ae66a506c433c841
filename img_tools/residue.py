"""The catalogue applied to an image: what of it is there.

A check reads a topic through `findings`; the cleaner of the same topic will read the same matches,
so that what is flagged is what gets removed (row B1).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from img_tools.catalogue import CATALOGUE, Residue
from img_tools.host import Host
from img_tools.model import Finding
from img_tools.rootfs import Entry

LIMIT = 50  # findings shown of one row; the rest are counted, so that a report stays readable


@dataclass(frozen=True, slots=True)
class Match:
    """A leftover that is there. `account` owns the home it lies in.

    `outside` is set when a link leads from a home to elsewhere: root must not clean there, since
    whoever owns the home chooses where that is.
    """

    residue: Residue
    entry: Entry
    account: str | None = None
    outside: bool = False


def matches(host: Host, topic: str) -> Iterator[Match]:
    """Everything in the image that the rows of TOPIC describe, each path once a row."""
    for row in CATALOGUE:
        if row.topic == topic:
            yield from _matches(host, row)


def _matches(host: Host, row: Residue) -> Iterator[Match]:
    if not row.pattern.startswith("~"):
        for entry in host.root.glob(row.pattern):
            if _counts(host, row, entry):
                yield Match(row, entry)
        return
    for home in host.homes:
        base = home.path.rstrip("/")
        for entry in host.root.glob(base + row.pattern[1:]):
            if _counts(host, row, entry):
                parent = host.root.resolve(entry.path.rpartition("/")[0] or "/")
                inside = parent == home.path or parent.startswith(base + "/")
                yield Match(row, entry, home.account, outside=not inside)


def _counts(host: Host, row: Residue, entry: Entry) -> bool:
    if any(fnmatchcase(entry.path, pattern) for pattern in row.keep):
        return False
    match row.kind:
        case "file":
            return entry.is_file and entry.size > 0
        case "tree":
            return entry.is_dir and bool(host.root.listdir(entry.path))
        case _:
            return True


def findings(host: Host, topic: str) -> Iterator[Finding]:
    """A finding for every match of TOPIC; past LIMIT a row, one finding that counts the rest."""
    for row in CATALOGUE:
        if row.topic == topic:
            yield from _row_findings(host, row)


def _row_findings(host: Host, row: Residue) -> Iterator[Finding]:
    total: Counter[str] = Counter()

    def counted() -> Iterator[Match]:
        for match in _matches(host, row):
            total["count"] += 1
            yield match

    for match in heapq.nsmallest(LIMIT, counted(), key=lambda match: match.entry.path):
        yield _finding(match)
    if total["count"] > LIMIT:
        yield Finding(
            status=row.severity, code=row.code, path=row.pattern,
            message=f"{total['count'] - LIMIT} more like {row.pattern}: {row.why}",
            evidence={"count": total["count"]}, remediation=_fix(row),
        )


def _finding(match: Match) -> Finding:
    row, entry = match.residue, match.entry
    fix = f"{entry.path} is reached through a link out of the home: clean it by hand"
    return Finding(
        status=row.severity, code=row.code, path=entry.path, account=match.account,
        message=f"{entry.path}: {row.why}",
        evidence={"bytes": entry.size} if entry.is_file else {},
        remediation=fix if match.outside else _fix(row),
    )


def _fix(row: Residue) -> str:
    return f"img-clean --yes --only {row.topic}"
