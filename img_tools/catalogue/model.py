"""What a row of the catalogue says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from img_tools.model import Status


class Treat(StrEnum):
    """What cleaning does to a match."""

    REMOVE = "remove"
    TRUNCATE = "truncate"  # in place: the inode, owner and mode stay for the service that writes it
    EMPTY = "empty"  # a directory's contents go, the directory stays
    REPORT = "report"  # nothing: only its owner can tell what depends on it; `advice` says how


Kind = Literal["file", "present", "name", "tree", "empty"]


@dataclass(frozen=True, slots=True)
class Residue:
    """One kind of leftover.

    `pattern` is a glob in the image (RootFS.glob), a leading `~` the home of every account. The
    first row of a topic that fits a path below a `**` is the one that speaks for it. A match counts
    when it is what `kind` says: "file" is a regular file with content, "present" a regular file
    even when empty, "name" anything at all, "tree" a directory with anything in it, "empty" one
    with nothing in it. `keep` are globs of paths that do not count, those that end in "/" of
    directories alone. With `holds`, a regular expression, only a file counts in whose content it is
    found.

    `why` completes "<path>: <why>". `advice` is what to do about it where that is not the cleaner's
    work; "{path}" in it becomes the path, quoted for a shell.
    """

    topic: str
    code: str
    pattern: str
    treat: Treat
    severity: Status
    why: str
    kind: Kind = "file"
    keep: tuple[str, ...] = ()
    holds: bytes = b""
    advice: str = ""

    def __post_init__(self) -> None:
        if (self.treat is Treat.REPORT) != bool(self.advice):
            raise ValueError(f"{self.pattern}: advice goes with Treat.REPORT, and with it alone")
