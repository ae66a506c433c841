"""What archives say of themselves (Release files), and which of them are the distribution's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from img_tools.model import Undecided, printable
from img_tools.packages.apt_sources import Source
from img_tools.rootfs import RootFS

LISTS = "/var/lib/apt/lists"
COMPRESSED = ("", ".lz4", ".gz", ".xz", ".zst", ".bz2")  # endings of indexes kept compressed
RELEASE_LIMIT = 8 << 20  # bytes; Debian's largest InRelease is 0.3 MB


@dataclass(frozen=True, slots=True)
class Release:
    """What a Release file says of its archive. `sizes` are bytes of each index by its path."""

    origin: str = ""
    label: str = ""
    suite: str = ""
    codename: str = ""
    date: datetime | None = None
    valid_until: datetime | None = None
    signed: bool = False
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """Codename of the release itself: "bookworm" of "bookworm-security"."""
        return re.split(r"[-/]", self.codename or self.suite)[0]

    @property
    def security(self) -> bool:
        """True when what it holds are security updates, by what the archive says of itself.

        Debian labels them (and named the suite without "-security" up to Debian 10), Ubuntu names
        the suite; UbuntuESM also has bug fixes, in suites that end in -updates.
        """
        if self.origin.startswith("UbuntuESM"):
            return not self.suite.endswith("-updates")
        return self.label == "Debian-Security" or any(
            name.endswith("-security") for name in (self.suite, self.codename))


def releases(
    root: RootFS, lists: str, sources: Iterable[Source]
) -> dict[tuple[str, str], Release]:
    """The Release file of each source by (site, suite); sources without one are left out."""
    found = {}
    for source in sources:
        release = _release(root, lists, source.stem)
        if release:
            found[source.site, source.suite] = release
    return found


def _release(root: RootFS, lists: str, stem: str) -> Release | None:
    for name in ("InRelease", "Release"):
        path = f"{lists}/{stem}{name}"
        try:
            text = root.read_text(path, RELEASE_LIMIT)
        except FileNotFoundError:
            continue
        signed = "BEGIN PGP SIGNATURE" in text or root.stat(f"{path}.gpg") is not None
        return parse_release(text, signed)
    return None


_HEAD = re.compile(r"^(Origin|Label|Suite|Codename|Date|Valid-Until): *(.*?) *$", re.M)
_SUM = re.compile(r"^ [0-9a-f]{64} +(\d+) +(\S+)$", re.M)


def parse_release(text: str, signed: bool = False) -> Release:
    """The Release file in TEXT."""
    head = dict(_HEAD.findall(text))
    return Release(
        head.get("Origin", ""), head.get("Label", ""), head.get("Suite", ""),
        head.get("Codename", ""), _date(head.get("Date", "")),
        _date(head.get("Valid-Until", "")), signed,
        {path: int(size) for size, path in _SUM.findall(text)},
    )


def _date(text: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # 15 ms, which most runs do not need

    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def demand_whole(
    root: RootFS, lists: str, sources: Iterable[Source], arch: str,
    known: Mapping[tuple[str, str], Release], cure: str,
) -> None:
    """Raise Undecided, with CURE, unless every source has all its indexes, none of them cut off.

    apt takes an index that is there for whole as long as the Release file has not changed.
    """
    names = frozenset(root.listdir(lists))
    for source in sources:
        release = known.get((source.site, source.suite))
        where = f"{source.site} {source.suite}"
        if release is None:
            may_lack_one = source.trusted or source.insecure
            if not may_lack_one or not any(name.startswith(source.stem) for name in names):
                raise Undecided(f"there is no package index of {where} on the disk; {cure}")
            continue
        for index in source.indexes(arch):
            size, name = release.sizes.get(index), source.index_name(index)
            if size and not any(name + end in names for end in COMPRESSED):
                raise Undecided(f"the index {index} of {where} is missing; {cure}")
            if size is not None and name in names and not intact(root, f"{lists}/{name}", size):
                raise Undecided(f"{printable(name)} in {lists} is not what its Release file "
                                f"describes (cut off or damaged); {cure}")


def demand_current(known: Mapping[tuple[str, str], Release], cure: str) -> None:
    """Raise Undecided, with CURE, if an index is past the date to which its archive answers for it.

    apt refuses such a one when it fetches it, but not when it has lain on the disk since.
    """
    for (site, suite), release in known.items():
        if release.valid_until and release.valid_until < datetime.now(UTC):
            raise Undecided(f"the package index of {site} {suite} expired on "
                            f"{release.valid_until:%Y-%m-%d}, so that it says nothing of what came "
                            f"since; {cure}")


def intact(root: RootFS, path: str, size: int) -> bool:
    """True when the file PATH has SIZE bytes."""
    entry = root.stat(path, follow=True)
    return entry is not None and entry.is_file and entry.size == size


# -- the distribution ----------------------------------------------------------------------------


def is_security(source: Source, release: Release | None) -> bool:
    """True for an archive of security updates; by its name only while it has no Release file."""
    if "/extended-lts" in source.uri:  # Freexian's, for Debian releases past LTS
        return True
    return release.security if release else _named_security(source)


def _named_security(source: Source) -> bool:
    return source.suite.endswith("-security") or (
        source.suite.endswith("/updates") and "security" in source.uri)


_OFFICIAL = re.compile(
    r"//([\w.-]+\.)?(debian\.org|ubuntu\.com|mirrors\.digitalocean\.com)([:/]|$)")


@dataclass(frozen=True, slots=True)
class System:
    """The release that is installed; `codename` is "bookworm", empty when not stated."""

    id: str
    version: str
    codename: str

    @classmethod
    def read(cls, root: RootFS) -> System:
        """As /etc/os-release states it; Debian 9 has the code name in VERSION alone.

        What is built on Ubuntu names the Ubuntu release, whose archives it uses, as well.
        """
        path = "/etc/os-release" if root.exists("/etc/os-release") else "/usr/lib/os-release"
        found = dict(re.findall(r'^(\w+)="?(.*?)"?\s*$', "\n".join(root.read_lines(path)), re.M))
        inside = re.search(r"\((\w+)", found.get("VERSION", ""))
        names = (found.get("UBUNTU_CODENAME"), found.get("VERSION_CODENAME"),
                 inside[1].lower() if inside else "")
        return cls(found.get("ID", ""), found.get("VERSION_ID", ""), next(filter(None, names), ""))

    def official(self, source: Source, release: Release | None, root: RootFS) -> bool:
        """True for the distribution's own archives and their mirrors, which keep its Origin."""
        if release and release.origin:
            own = rf"{re.escape(self.id)}( Backports|ESM\w*)?"
            return re.fullmatch(own, release.origin, re.I) is not None
        uris = [source.uri]
        if source.uri.startswith("mirror+file:"):
            listed = "/" + source.uri.partition(":")[2].lstrip("/")
            uris = [line.split()[0] for line in root.read_lines(listed) if line.split()]
        return bool(uris) and all(_OFFICIAL.search(uri) for uri in uris)

    def security(self, source: Source, release: Release | None) -> bool:
        """True when SOURCE has the security updates of this release, not of another one."""
        if not is_security(source, release):
            return False
        base = release.base if release else re.split(r"[-/]", source.suite)[0]
        aliases = ("stable", "oldstable", "oldoldstable", "testing")
        return not self.codename or base == self.codename or (not release and base in aliases)

    @property
    def security_line(self) -> str:
        """The line of sources.list that brings this release's security updates."""
        if self.id == "ubuntu":
            return (f"deb http://security.ubuntu.com/ubuntu {self.codename}-security "
                    "main restricted universe multiverse")
        old = self.version.isdecimal() and int(self.version) <= 10
        suite = f"{self.codename}/updates" if old else f"{self.codename}-security"
        host = "archive.debian.org" if old else "deb.debian.org"
        return f"deb http://{host}/debian-security {suite} main"
