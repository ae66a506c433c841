"""What the package manager knows, the same for every family; select() finds the right backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from img_tools.model import Undecided
from img_tools.rootfs import RootFS
from img_tools.runner import Runner
from img_tools.scratch import Scratch


@dataclass(frozen=True, slots=True)
class Installed:
    """A package that is on the disk, whole or not.

    `state` is "installed", or what stopped half-way in the package manager's own word
    ("half-configured", "unpacked", ...). `held` means that upgrades pass it over.
    """

    name: str
    version: str
    arch: str
    state: str = "installed"
    held: bool = False


class Reason(StrEnum):
    """Why an update is not installed by a plain upgrade."""

    PENDING = "pending"
    KEPT_BACK = "kept-back"
    PHASED = "phased"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Update:
    """A newer version that the repositories offer; `origin` says which one offers it."""

    name: str
    installed: str
    candidate: str
    origin: str
    security: bool
    reason: Reason = Reason.PENDING


@dataclass(frozen=True, slots=True)
class Updates:
    """All updates, and how old the indexes are that they were judged by (RFC 3339 UTC)."""

    all: tuple[Update, ...]
    index_time: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A source of packages as configured; `line` is its line in the file `path`.

    `signed` is False when packages from it are accepted without a signature. `origin` is what its
    index says of itself (apt: the Release file's Origin), None when no index is on the disk.
    """

    path: str
    line: int
    uri: str
    suite: str
    signed: bool
    origin: str | None = None


class PackageManager(Protocol):
    """What a backend offers. A query that failed raises Undecided; it never looks empty."""

    name: str

    @property
    def installed(self) -> Mapping[str, Installed]:
        """Every package on the disk by name (first architecture wins)."""

    @property
    def repositories(self) -> Sequence[Repository]:
        """Every enabled repository."""

    @property
    def updates(self) -> Updates:
        """Pending updates against freshly fetched indexes (unless the run said --no-refresh)."""

    @property
    def unavailable(self) -> Sequence[Installed]:
        """Installed packages in a version that no repository provides."""

    def newer(self, version: str, other: str) -> bool:
        """True when VERSION is later than OTHER in this package manager's order."""

    def advice(self, verb: str, *packages: str) -> str:
        """The command for a person: VERB is install, remove, upgrade, refresh or repair."""


FAMILIES = {"debian": "apt", "ubuntu": "apt", "rhel": "dnf", "centos": "dnf", "fedora": "dnf"}


def select(
    ids: Sequence[str], root: RootFS, run: Runner, scratch: Scratch | None
) -> PackageManager:
    """The backend for the first of IDS (os-release ID, then ID_LIKE) that has one.

    Indexes are refreshed into SCRATCH; without one those on the disk are used as they are.
    """
    family = next((FAMILIES[os_id] for os_id in ids if os_id in FAMILIES), None)
    if family == "apt":
        from img_tools.packages.apt import Apt

        return Apt(root, run, scratch)
    if family == "dnf":
        raise Undecided("this version judges apt systems only; yum and dnf follow")
    raise Undecided(f"no package manager is known for {' / '.join(ids) or 'an unnamed system'}")
