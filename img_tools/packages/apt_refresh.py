"""Fresh package indexes in a private directory, and the options that make apt read them.

Nothing of the image is written: apt's lists, caches, temporary files and configuration of our own
all lie in the scratch directory, its hooks are cleared, and it takes no lock of the system.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from img_tools.entries import Unreadable
from img_tools.model import Undecided
from img_tools.packages import dpkg
from img_tools.packages.apt_errors import ask, demand_updated
from img_tools.packages.apt_release import (
    COMPRESSED,
    LISTS,
    Release,
    demand_current,
    demand_whole,
    intact,
    releases,
)
from img_tools.packages.apt_sources import Source
from img_tools.rootfs import RootFS
from img_tools.runner import Runner
from img_tools.scratch import Scratch

# Bytes. Ubuntu's four suites are some 130 MB of indexes, and apt's cache of them is 60.
ROOM = 256 << 20
CACHE = "/var/cache/apt"

# Read last, so that it outranks the configuration of the image. APT::Update is nothing but hooks
# (Pre-Invoke, Post-Invoke, Post-Invoke-Success, Post-Invoke-Stats, Auth-Failure) and Error-Mode.
_COMMON = """\
#clear APT::Update;
#clear AptCli::Hooks;
Debug::NoLocking "true";
Dir::Cache "{top}/cache/";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "{source_cache}";
Dir::Log "{top}/log/";
"""
# Only what says which versions there are; and no host may keep us waiting for ever.
_UPDATE = """\
Dir::State::lists "{top}/lists/";
pkgCacheFile::Generate "false";
APT::Update::Error-Mode "any";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-large::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
#clear Acquire::IndexTargets::deb-src;
Acquire::Retries "1";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
Acquire::ftp::Timeout "10";
"""
_PRIVATE = """\
Dir::State::lists "{top}/lists/";
Acquire::Languages "none";
"""


@dataclass(frozen=True, slots=True)
class Indexes:
    """Where the indexes are: the options that make apt read them, and their Release files.

    `scratch` is False when there was no place for a configuration of ours.
    """

    options: tuple[str, ...]
    releases: Mapping[tuple[str, str], Release]
    scratch: bool

    @property
    def time(self) -> str | None:
        """Date of the newest of them, RFC 3339 UTC."""
        dates = [release.date for release in self.releases.values() if release.date]
        return max(dates).isoformat(timespec="seconds") if dates else None


def on_disk(
    root: RootFS, scratch: Scratch, sources: Sequence[Source], arch: str
) -> Indexes:
    """The indexes that are there. Raises Undecided when one is missing, damaged or expired."""
    known = releases(root, LISTS, sources)
    cure = "run apt-get update, or leave --no-refresh away"
    demand_whole(root, LISTS, sources, arch, known, cure)
    demand_current(known, cure)
    try:
        top = _prepare(root, scratch)
    except Undecided:  # a read-only image: without a cache apt is slower, not wrong
        return Indexes(("-o", f"Dir::State::lists={LISTS}/", "-o", "Debug::NoLocking=true",
                        "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="),
                       known, scratch=False)
    return _system(root, top, known)


def refreshed(
    root: RootFS, run: Runner, scratch: Scratch, sources: Sequence[Source], arch: str
) -> Indexes:
    """Indexes fetched just now. Raises Undecided naming the source that failed and the cure."""
    before = releases(root, LISTS, sources)
    top = _prepare(root, scratch)
    seeds = _seed(root, top, sources, arch, before)
    _configure(root, top, "update.conf", _UPDATE)
    _update(run, top)
    after = releases(root, f"{top}/lists", sources)
    demand_whole(root, f"{top}/lists", sources, arch, after, "run apt-get update and look there")
    if after == before and _unchanged(root, top, seeds):
        return _system(root, top, after)
    _configure(root, top, "apt.conf", _PRIVATE)
    return Indexes(("-c", f"{top}/apt.conf"), after, scratch=True)


def _system(root: RootFS, top: str, known: Mapping[tuple[str, str], Release]) -> Indexes:
    """The image's own lists with a copy of its cache, which spares building one (0.5 s).

    There are two: pkgcache.bin is of no use once dpkg has written its status file, and then the
    other one, of the lists alone, is. apt finds out whether the copy fits, and replaces it if not.
    """
    written = [root.stat(path) for path in (f"{CACHE}/pkgcache.bin", dpkg.STATUS)]
    fits = all(written) and written[0].mtime >= written[1].mtime  # type: ignore[union-attr]
    name = "pkgcache.bin" if fits else "srcpkgcache.bin"
    copied = _copy(root, f"{CACHE}/{name}", f"{top}/cache/{name}")
    _configure(root, top, "apt.conf", f'Dir::State::lists "{LISTS}/";\n',
               source_cache=name if copied and not fits else "")
    return Indexes(("-c", f"{top}/apt.conf"), known, scratch=True)


def _configure(root: RootFS, top: str, name: str, more: str, source_cache: str = "") -> None:
    text = (_COMMON + more).format(top=top, source_cache=source_cache)
    with open(f"{root.host_path(top)}/{name}", "w", encoding="utf-8") as file:
        file.write(text)


def _update(run: Runner, top: str) -> None:
    done = ask(run, "apt-get", "-q", "-c", f"{top}/update.conf", "update", ok=(0, 100),
               tmp=f"{top}/temp")
    demand_updated(done)


# -- the private directory -----------------------------------------------------------------------


def _prepare(root: RootFS, scratch: Scratch) -> str:
    top = scratch.make(ROOM)
    for name in ("lists/partial", "cache/archives/partial", "log"):
        os.makedirs(f"{root.host_path(top)}/{name}")
    os.mkdir(f"{root.host_path(top)}/temp")
    os.chmod(f"{root.host_path(top)}/temp", 0o1777)  # noqa: S103  (apt's fetchers run as _apt)
    return top


def _seed(
    root: RootFS, top: str, sources: Sequence[Source], arch: str,
    known: Mapping[tuple[str, str], Release],
) -> list[str]:
    """Give apt what is there, so that it fetches what has changed; returns the names of indexes.

    Release files are copied with their times, which apt asks the server by. Indexes are linked:
    apt replaces what it renews and writes into nothing. One whose size is not what its Release
    file says is left out, since apt would take it for whole.
    """
    names = frozenset(root.listdir(LISTS))
    linked = []
    for source in sources:
        release = known.get((source.site, source.suite))
        if release is None:
            continue
        for name in ("InRelease", "Release", "Release.gpg"):
            _copy(root, f"{LISTS}/{source.stem}{name}", f"{top}/lists/{source.stem}{name}")
        for index in source.indexes(arch):
            size = release.sizes.get(index)
            for name in sorted(names & {source.index_name(index) + end for end in COMPRESSED}):
                plain = name == source.index_name(index)
                if plain and size is not None and not intact(root, f"{LISTS}/{name}", size):
                    continue
                link = f"{root.host_path(top)}/lists/{name}"
                if not os.path.lexists(link):
                    os.symlink(f"{LISTS}/{name}", link)
                    linked.append(name)
    return linked


def _unchanged(root: RootFS, top: str, seeds: Sequence[str]) -> bool:
    """True when apt has fetched no index: every link is in its place and nothing else came."""
    lists = f"{root.host_path(top)}/lists"
    indexes = {name for name in os.listdir(lists) if "Packages" in name}
    return indexes == set(seeds) and all(os.path.islink(f"{lists}/{name}") for name in indexes)


def _copy(root: RootFS, source: str, target: str) -> bool:
    """Copy a regular file of the image with its times; False when there is none to read."""
    try:
        entry = root.stat(source)
        if entry is None or not entry.is_file:
            return False
        with root.open(source) as old, open(root.host_path(target), "wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
            times = os.fstat(old.fileno())
            new.flush()
            os.utime(new.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
    except (FileNotFoundError, Unreadable):
        return False
    return True
