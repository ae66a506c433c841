"""A package manager that knows what a test tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from img_tools.host import Host
from img_tools.model import Undecided
from img_tools.packages import Installed, Problem, Repository, Update, Updates

SECURITY = Repository("/etc/apt/sources.list", 2, "http://deb.debian.org/debian-security",
                      "bookworm-security", "Debian", official=True, security=True)
MAIN = Repository("/etc/apt/sources.list", 1, "http://deb.debian.org/debian", "bookworm",
                  "Debian", official=True)


@dataclass
class Packages:
    """PackageManager with the given answers; `refuses` is raised by all that need an index."""

    pending: Sequence[Update] = ()
    repositories: Sequence[Repository] = (MAIN, SECURITY)
    packages: Sequence[Installed] = ()
    orphans: Sequence[Installed] = ()
    problems: Sequence[Problem] = ()
    busy: str = ""
    refuses: str = ""
    name: str = field(default="apt", init=False)

    @property
    def installed(self) -> Mapping[str, Installed]:
        return {package.name: package for package in self.packages}

    @property
    def updates(self) -> Updates:
        if self.refuses:
            raise Undecided(self.refuses)
        return Updates(tuple(self.pending), "2025-11-02T09:30:00+00:00")

    @property
    def unavailable(self) -> Sequence[Installed]:
        if self.refuses:
            raise Undecided(self.refuses)
        return self.orphans

    def require_idle(self) -> None:
        if self.busy:
            raise Undecided(self.busy)

    def advice(self, verb: str, *packages: str) -> str:
        return " ".join([verb, *packages])

    def remedy(self, update: Update) -> str:
        return f"install {update.name} although {update.reason}"


def with_packages(host: Host, **answers: Any) -> Host:
    """HOST with a package manager that gives ANSWERS."""
    vars(host)["packages"] = Packages(**answers)  # goes before the property of the class
    return host
