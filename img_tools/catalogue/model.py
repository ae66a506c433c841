"""What a row of the catalogue says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from img_tools.model import Status


class Treat(StrEnum):
    """What cleaning does to a match."""

    REMOVE = "remove"
    TRUNCATE = "truncate"  # in place: the inode, owner and mode stay for the service that writes it
    EMPTY = "empty"  # a directory's contents go, the directory stays


@dataclass(frozen=True, slots=True)
class Residue:
    """One kind of leftover.

    `pattern` is a glob in the image (RootFS.glob), a leading `~` the home of every account. A match
    counts when it is what `kind` says: "file" is a regular file with content, "name" anything at
    all, "tree" a directory with anything in it. `keep` are globs of paths that do not count. `why`
    completes "<path>: <why>".
    """

    topic: str
    code: str
    pattern: str
    treat: Treat
    severity: Status
    why: str
    kind: str = "file"
    keep: tuple[str, ...] = ()
