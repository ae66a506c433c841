"""What the package manager knows, the same for every family; select() finds the right backend."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from img_tools.actions import Action
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

    PENDING = "pending"  # it would be
    KEPT_BACK = "kept-back"  # what it needs or breaks stands in the way
    PHASED = "phased"  # the distribution gives it to a part of all machines so far
    HELD = "held"  # the package is marked to stay as it is
    PINNED = "pinned"  # a preference prefers another version


@dataclass(frozen=True, slots=True)
class Update:
    """A newer version that the repositories offer; `origin` says which one offers it.

    `security` is True when any version after the installed one, up to this one, came as a security
    update: a fix that a later version has taken over is missing all the same. `advisories` are
    the ids of those that say so. With `unproven` it counts as one because its repository publishes
    no advisories, so that nothing tells whether it is.
    """

    name: str
    installed: str
    candidate: str
    origin: str
    security: bool
    reason: Reason = Reason.PENDING
    advisories: tuple[str, ...] = ()
    unproven: bool = False


@dataclass(frozen=True, slots=True)
class Updates:
    """All updates, and how old the indexes are that they were judged by (RFC 3339 UTC)."""

    all: tuple[Update, ...]
    index_time: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A source of packages as configured; `line` is its line in the file `path`.

    `uri` holds no user and no password. `origin` is what its index says of itself (apt: the Release
    file's Origin), None without an index. `official` means that it is the distribution's own,
    `security` that it carries the security updates of this very release. `unsigned` says because of
    what packages from it are accepted without a signature, None when they are not.
    """

    path: str
    line: int
    uri: str
    suite: str
    origin: str | None = None
    official: bool = False
    security: bool = False
    unsigned: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the installed packages as a whole; `code` is stable, kebab-case."""

    code: str
    message: str
    package: str | None = None


class Busy(Undecided):
    """Another process changes packages just now; the text names it."""


class PackageManager(Protocol):
    """What a backend offers. A query that failed raises Undecided; it never looks empty."""

    @property
    def name(self) -> str:
        """The command: apt, dnf, dnf5 or yum."""

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
        """Installed packages that no repository provides, neither as they are nor newer."""

    @property
    def problems(self) -> Sequence[Problem]:
        """An interrupted run, dependencies that are not met."""

    def unmodified(self, paths: Collection[str]) -> frozenset[str]:
        """Those of PATHS that a package brought and nobody has changed since."""

    def require_idle(self) -> None:
        """Raise Busy while another process changes packages, naming it."""

    def require_settled(self) -> None:
        """Raise Undecided after an upgrade that was cut short, Busy while one is under way.

        Fetching the indexes counts too: whoever wants to upgrade would have to wait for that.
        """

    def advice(self, verb: str, *packages: str) -> str:
        """The command for a person.

        VERB is install, reinstall, remove, upgrade, refresh, repair, unhold, security (what brings
        in the repository with the security updates), or sign (what has packages checked).
        """

    def upgrade(self) -> Iterator[Action]:
        """What installs every pending update; nothing when there is none."""

    def autoremove(self) -> Iterator[Action]:
        """What removes packages that nothing needs any more; nothing when there is none."""

    def purge(self, *packages: str) -> Action:
        """What removes PACKAGES with their configuration."""

    def remedy(self, update: Update) -> str:
        """The command for a person that installs UPDATE."""


FAMILIES = {"debian": "apt", "ubuntu": "apt", "rhel": "dnf", "centos": "dnf", "fedora": "dnf"}
FAMILIES |= {"rocky": "dnf", "almalinux": "dnf", "cloudlinux": "dnf"}


def select(
    ids: Sequence[str], root: RootFS, run: Runner, scratch: Scratch, *, refresh: bool = True
) -> PackageManager:
    """The backend for the first of IDS (os-release ID, then ID_LIKE) that has one.

    SCRATCH is where caches and, with REFRESH, fresh indexes go; else those on the disk are used.
    """
    family = next((FAMILIES[os_id] for os_id in ids if os_id in FAMILIES), None)
    if family == "apt":
        from img_tools.packages.apt import Apt

        return Apt(root, run, scratch, refresh=refresh)
    if family == "dnf":
        from img_tools.packages.dnf import Dnf

        return Dnf(root, run, scratch, refresh=refresh)
    raise Undecided(f"no package manager is known for {' / '.join(ids) or 'an unnamed system'}")
