"""Which releases may be published: a dated table, and the profiles that choose from it.

End-of-life dates are the last day of free security updates: Debian with LTS and Ubuntu's standard
support by distro-info-data, CentOS, Rocky, Alma and CloudLinux by their own release pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

TABLE_DATE = date(2026, 11, 24)  # when the table below was last compared with its sources


@dataclass(frozen=True, slots=True)
class Release:
    """A release of a distribution. `version` is its major number as VERSION_ID begins with it.

    `id` is ID of os-release(5), but "centos-stream" for CentOS Stream, which shares ID=centos and
    VERSION_ID=8 with CentOS Linux 8.
    """

    id: str
    version: str
    name: str
    eol: date


def _rows(*rows: tuple[str, str, str, str]) -> tuple[Release, ...]:
    return tuple(Release(os_id, version, name, date.fromisoformat(eol))
                 for os_id, version, name, eol in rows)


RELEASES = _rows(
    ("debian", "9", "Debian 9 (stretch)", "2022-06-30"),
    ("debian", "10", "Debian 10 (buster)", "2024-06-30"),
    ("debian", "11", "Debian 11 (bullseye)", "2026-08-31"),
    ("debian", "12", "Debian 12 (bookworm)", "2028-06-30"),
    ("debian", "13", "Debian 13 (trixie)", "2030-06-30"),
    ("ubuntu", "16.04", "Ubuntu 16.04 LTS", "2021-04-30"),
    ("ubuntu", "18.04", "Ubuntu 18.04 LTS", "2023-05-31"),
    ("ubuntu", "20.04", "Ubuntu 20.04 LTS", "2025-05-29"),
    ("ubuntu", "22.04", "Ubuntu 22.04 LTS", "2027-06-01"),
    ("ubuntu", "24.04", "Ubuntu 24.04 LTS", "2029-05-31"),
    ("ubuntu", "26.04", "Ubuntu 26.04 LTS", "2031-05-29"),
    ("centos", "6", "CentOS 6", "2020-11-30"),
    ("centos", "7", "CentOS 7", "2024-06-30"),
    ("centos", "8", "CentOS Linux 8", "2021-12-31"),
    ("centos-stream", "8", "CentOS Stream 8", "2024-05-31"),
    ("centos-stream", "9", "CentOS Stream 9", "2027-05-31"),
    ("centos-stream", "10", "CentOS Stream 10", "2030-01-01"),
    ("rocky", "8", "Rocky Linux 8", "2029-05-31"),
    ("rocky", "9", "Rocky Linux 9", "2032-05-31"),
    ("rocky", "10", "Rocky Linux 10", "2035-05-31"),
    ("almalinux", "8", "AlmaLinux 8", "2029-03-01"),
    ("almalinux", "9", "AlmaLinux 9", "2032-05-31"),
    ("almalinux", "10", "AlmaLinux 10", "2035-05-31"),
    ("cloudlinux", "8", "CloudLinux 8", "2029-05-31"),
    ("cloudlinux", "9", "CloudLinux 9", "2032-05-31"),
    ("cloudlinux", "10", "CloudLinux 10", "2035-05-31"),
)


@dataclass(frozen=True, slots=True)
class Profile:
    """What one marketplace accepts: releases by (id, major version)."""

    name: str
    title: str
    accepted: frozenset[tuple[str, str]]

    def accepts(self, release: Release) -> bool:
        """True when an image of RELEASE may be published there."""
        return (release.id, release.version) in self.accepted

    @property
    def releases(self) -> tuple[Release, ...]:
        """All accepted releases, in the order of the table."""
        return tuple(filter(self.accepts, RELEASES))


def find(os_id: str, version_id: str, pretty_name: str = "") -> Release | None:
    """The row for ID, VERSION_ID and PRETTY_NAME of os-release(5).

    Versions are equal, or (not on Ubuntu) equal up to the first dot: "10.8" is AlmaLinux 10 and
    "28.1" nothing (defect 26); Ubuntu 24.10 is not 24.04.
    """
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", version_id):
        return None
    if os_id == "centos" and "stream" in pretty_name.lower():
        os_id = "centos-stream"
    major = version_id if os_id == "ubuntu" else version_id.partition(".")[0]
    return next((row for row in RELEASES if (row.id, row.version) == (os_id, major)), None)


def _accept(**versions: str) -> frozenset[tuple[str, str]]:
    return frozenset((os_id.replace("_", "-"), version) for os_id, text in versions.items()
                     for version in text.split())


DEFAULT = "marketplace"
PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            DEFAULT, "what DigitalOcean's Marketplace accepts today",
            _accept(debian="9 10 11 12 13", ubuntu="16.04 18.04 20.04 22.04 24.04 26.04",
                    centos="7", centos_stream="8 9 10", rocky="8 9 10", almalinux="8 9 10",
                    cloudlinux="8 9 10"),
        ),
        Profile(
            "marketplace-2019", "the list in `build-an-image` as first published",
            _accept(debian="9", ubuntu="16.04 18.04", centos="6 7"),
        ),
    )
}


class UnknownProfile(Exception):
    """A name that no profile has; the text names the near misses."""


def near(word: str, known: Iterable[str]) -> str:
    """"; did you mean ...?" for the nearest of KNOWN, or nothing."""
    import difflib  # only a mistake needs it

    hits = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(hits)}?" if hits else ""


def profile(name: str) -> Profile:
    """The profile called NAME. Raises UnknownProfile."""
    if name not in PROFILES:
        hint = near(name, PROFILES) or f"; known: {', '.join(PROFILES)}"
        raise UnknownProfile(f"no profile '{name}'{hint}")
    return PROFILES[name]
