"""`apt-cache policy`: every version of every installed package, and which archive has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from img_tools.model import Undecided, printable

STATUS = "/var/lib/dpkg/status"


@dataclass(frozen=True, slots=True)
class Version:
    """A version in the table. `places` are the archives that have it, as apt writes them.

    "http://deb.debian.org/debian bookworm/main amd64 Packages" is a place. `phased` is True while
    Ubuntu gives the version to a part of all machines only.
    """

    text: str
    phased: bool
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A package (`name:arch` when foreign), its versions newest first."""

    name: str
    installed: str
    candidate: str
    versions: tuple[Version, ...]

    @property
    def newer(self) -> list[Version]:
        """The versions after the installed one that some archive has, newest first."""
        texts = [version.text for version in self.versions]
        if self.installed not in texts:
            return []
        return [version for version in self.versions[:texts.index(self.installed)]
                if version.places]

    @property
    def provided(self) -> bool:
        """True when an archive has the version that is installed."""
        return any(version.places for version in self.versions if version.text == self.installed)


_BLOCK = re.compile(r"^(\S+):\n  Installed: (\S+)\n  Candidate: (\S+)\n(.*(?:\n .*)*)", re.M)
_VERSION = re.compile(r"^(?: \*\*\*|    ) (\S+) -?\d+(?: \(phased (\d+)%\))?$")
_PLACE = re.compile(r"^ {7} *-?\d+ (.+)$")


def parse(text: str) -> Iterator[Policy]:
    """The packages in the output of `apt-cache policy NAME...`."""
    for name, installed, candidate, table in _BLOCK.findall(text):
        yield Policy(name, installed, candidate, tuple(_versions(table)))


def _versions(table: str) -> Iterator[Version]:
    found: list[tuple[str, bool, list[str]]] = []
    for line in table.split("\n"):
        version, place = _VERSION.match(line), _PLACE.match(line)
        if version:
            found.append((version[1], version[2] is not None, []))
        elif place and found and place[1] != STATUS:
            found[-1][2].append(place[1])
        elif not place and "Version table:" not in line and "Package pin:" not in line:
            raise Undecided(f"apt-cache policy says what is not understood: {printable(line)}")
    for text, phased, places in found:
        yield Version(text, phased, tuple(places))
