"""What the RPM database says, asked of a private copy.

rpm writes beside the database that it reads (the index of SQLite's journal, Berkeley DB's regions).
So it is given a copy: a .rpmmacros in a home of our own says where, and rpm, dnf and yum heed it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cmp_to_key

from img_tools.model import Undecided, printable
from img_tools.packages import Installed, Problem, files
from img_tools.rootfs import RootFS
from img_tools.runner import CommandMissing, Runner
from img_tools.scratch import Scratch

# Where it is: Fedora and EL 10, and before.
DIRS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
DATABASES = ("rpmdb.sqlite", "Packages.db", "Packages")  # SQLite, ndb, Berkeley DB (EL 6 to 8)
LOCKS = tuple(f"{directory}/.rpm.lock" for directory in DIRS)
_PRIVATE = re.compile(r"__db\.|\.|.*-shm$")  # of running processes; made anew
LARGEST = 2 << 30  # bytes of all files of a database; 1,500 packages take 150 MB

QUERY = "%{NAME}\\t%{EPOCH}\\t%{VERSION}-%{RELEASE}\\t%{ARCH}\\n"
_KEY = "gpg-pubkey"  # keys of repositories are kept as packages of this name


def place(root: RootFS) -> str:
    """The directory of the database. Raises Undecided without one."""
    for directory in DIRS:
        if any(root.is_file(f"{directory}/{name}") for name in DATABASES):
            return directory
    raise Undecided(f"there is no RPM database in {' or '.join(DIRS)}: no package is known")


def private(root: RootFS, scratch: Scratch) -> Mapping[str, str]:
    """Copy the database; returns the environment in which rpm and what uses it read the copy."""
    source = place(root)
    files = [name for name in root.listdir(source)
             if root.is_file(f"{source}/{name}") and not _PRIVATE.match(name)]
    sizes = [entry.size for name in files if (entry := root.stat(f"{source}/{name}", follow=True))]
    if sum(sizes) > LARGEST:
        raise Undecided(f"{source} holds {sum(sizes) >> 20} MB, which no RPM database needs")
    top = scratch.make(sum(sizes) + (16 << 20))
    here = root.host_path(top)
    for name in ("home", "rpm", "tmp"):
        os.mkdir(f"{here}/{name}")
    try:
        for name in files:
            with root.open(f"{source}/{name}") as old, open(f"{here}/rpm/{name}", "wb") as new:
                shutil.copyfileobj(old, new, 1 << 20)
        with open(f"{here}/home/.rpmmacros", "w", encoding="utf-8") as file:
            file.write(f"%_dbpath {top}/rpm\n")
    except OSError as error:
        raise Undecided(f"the RPM database could not be copied: {error.strerror}") from None
    return {"HOME": f"{top}/home", "TMPDIR": f"{top}/tmp"}  # noqa: S108


def packages(run: Runner, env: Mapping[str, str]) -> tuple[Installed, ...]:
    """Every package, the newest first where several versions are installed (kernels)."""
    try:
        done = run("rpm", "-qa", "--qf", QUERY, env=env)
    except CommandMissing:
        raise Undecided("rpm is not in the image: no package is known") from None
    found = [_package(line) for line in done.stdout.splitlines() if not line.startswith(_KEY)]
    if not found:
        raise Undecided("rpm lists no package: its database is empty or damaged")
    return tuple(_newest_first(found))


def _newest_first(packages: Sequence[Installed]) -> Iterator[Installed]:
    """PACKAGES by name; few names are there twice, and comparing versions takes its time."""
    named: dict[str, list[Installed]] = {}
    for item in packages:
        named.setdefault(item.name, []).append(item)
    newest = cmp_to_key(compare)
    for same in named.values():
        yield from sorted(same, key=lambda item: newest(item.version), reverse=True) if (
            len(same) > 1) else same


def _package(line: str) -> Installed:
    fields = line.split("\t")
    if len(fields) != 4 or not all(fields):
        raise Undecided(f"rpm lists a package that makes no sense: {printable(line[:200])}")
    name, epoch, version, arch = fields
    prefix = "" if epoch in ("(none)", "0") else f"{epoch}:"
    return Installed(name, prefix + version, arch)


_UNMET = re.compile(r"Unsatisfied dependencies for (\S+):$")


def problems(run: Runner, env: Mapping[str, str]) -> Iterator[Problem]:
    """Dependencies that are not met, as rpm sees them."""
    done = run("rpm", "-Va", "--nofiles", "--noscripts", "--nodigest", "--nosignature",
               ok=range(126), env=env)
    package, known = "", False
    for line in f"{done.stdout}\n{done.stderr}".splitlines():
        match = _UNMET.match(line)
        if match:
            package, known = split(match[1])[0], True
        elif package and line.startswith(("\t", " ")):
            needs = re.sub(r" is needed by \(installed\) \S+$", "", line.strip())
            yield Problem("unmet-dependency", f"{package} needs {needs}, which no installed "
                          "package provides", package)
        else:
            package = ""
    if done.code and not known:
        raise Undecided(f"rpm -Va --nofiles failed: {printable(done.stderr.strip()[-300:])}")


_DIGESTS = {32: "md5", 64: "sha256", 128: "sha512"}  # by length: _binary_filedigest_algorithm
_ASKED = 200  # paths in one command, whose length is limited


def unmodified(
    root: RootFS, run: Runner, env: Mapping[str, str], paths: Collection[str]
) -> frozenset[str]:
    """Those of PATHS that a package brought and nobody has changed."""
    wanted = [path for path in paths if path.isprintable() and " " not in path]
    found = set()
    for start in range(0, len(wanted), _ASKED):
        asked = wanted[start:start + _ASKED]
        done = run("rpm", "-qf", "--dump", *asked, ok=range(256), env=env)
        for line in done.stdout.split("\n"):  # path size mtime digest mode owner ...
            path, _, rest = line.partition(" ")
            digest = [*rest.split(" "), "", ""][2]
            kind = _DIGESTS.get(len(digest))
            if path in asked and kind and files.digest(root, path, kind) == digest:
                found.add(path)
    return frozenset(found)


# -- names and versions --------------------------------------------------------------------------


def split(nevra: str) -> tuple[str, str, str]:
    """(name, [epoch:]version-release, architecture) of `name-[epoch:]version-release.arch`."""
    rest, _, arch = nevra.rpartition(".")
    name, version, release = (["", "", *rest.rsplit("-", 2)])[-3:]
    if not (name and version and release and arch):
        raise Undecided(f"'{printable(nevra)}' is no package with version and architecture")
    epoch, _, plain = name.partition(":")
    if plain and epoch.isdecimal():  # yum 3 writes epoch:name-version-release.arch
        name, version = plain, f"{epoch}:{version}"
    return name, f"{version.removeprefix('0:')}-{release}", arch


def compare(one: str, two: str) -> int:
    """-1, 0 or 1: how `[epoch:]version[-release]` ONE stands to TWO (rpm-version(7))."""
    (epoch1, version1, release1), (epoch2, version2, release2) = _evr(one), _evr(two)
    return ((epoch1 > epoch2) - (epoch1 < epoch2) or _compare(version1, version2)
            or _compare(release1, release2))


def _evr(text: str) -> tuple[int, str, str]:
    epoch, _, rest = text.rpartition(":")
    version, _, release = rest.partition("-")
    return int(epoch) if epoch.isdecimal() else 0, version, release


_PART = re.compile(r"~|\^|[0-9]+|[a-zA-Z]+")


def _compare(one: str, two: str) -> int:
    parts1, parts2 = _PART.findall(one), _PART.findall(two)
    for part1, part2 in zip(parts1, parts2, strict=False):
        rank1, rank2 = _rank(part1), _rank(part2)
        if rank1 != rank2:
            return -1 if rank1 < rank2 else 1
    longer = parts1[len(parts2):] or parts2[len(parts1):]
    if not longer:
        return 0
    sign = -1 if len(parts1) < len(parts2) else 1
    return -sign if longer[0] == "~" else sign


def _rank(part: str) -> tuple[int, int, str]:
    """`~` sorts before the end of a version, `^` after it; numbers are newer than letters."""
    if part.isdecimal():
        return 3, int(part), ""
    return ({"~": 0, "^": 1}.get(part, 2), 0, part)
