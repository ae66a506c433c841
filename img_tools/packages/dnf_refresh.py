"""Fresh metadata in a private directory, and what it says: updates, and who publishes advisories.

Nothing of the image is written. What it has in its cache is copied first, so that dnf fetches what
has changed; a repository that fails is an error, whatever its skip_if_unavailable says.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

from img_tools.model import Undecided, printable
from img_tools.packages import dnf_output
from img_tools.packages.dnf_config import Repo
from img_tools.packages.dnf_dialect import Dialect
from img_tools.packages.dnf_errors import ask, understood
from img_tools.packages.dnf_output import Row
from img_tools.rootfs import RootFS
from img_tools.runner import CommandError, Runner
from img_tools.scratch import Scratch

ROOM = 512 << 20  # bytes; EL 9's metadata is 60 MB, what dnf makes of it 150
SEED_LIMIT = 400 << 20  # bytes of a cache that are copied; a larger one is not worth it
STATE_LIMIT = 64 << 20  # bytes of a file of the history
SHARED = "/tmp"  # noqa: S108  (libdnf compares there what it has with what the server has)
UPDATES = 100  # exit code of check-update when there are some (dnf(8), yum(8))
_EMPTY = 250  # bytes of an updateinfo without any advisory
_REPOMD_LIMIT = 1 << 20  # bytes
# Packages, locks, and advisories as dnf 4 has compiled them: see _advised().
_NOT_SEEDED = re.compile(r".*\.(rpm|pid|lock|db-journal)$|.*-updateinfo\.solvx$")


@dataclass(frozen=True, slots=True)
class Metadata:
    """Metadata of every enabled repository, and the options that make dnf read it.

    `answers` are what the command has said already, by its words.
    """

    options: tuple[str, ...]
    answers: Mapping[tuple[str, ...], str]
    rows: tuple[Row, ...]
    time: str | None  # of the newest, RFC 3339 UTC
    advised: frozenset[str]  # repositories that publish advisories


def fetch(
    root: RootFS, run: Runner, scratch: Scratch, dialect: Dialect, repos: Sequence[Repo],
    env: Mapping[str, str], *, refresh: bool,
) -> Metadata:
    """Fetch and ask for updates. Raises Undecided naming the repository that failed."""
    top = scratch.make(ROOM)
    options = private(root, dialect, top)
    try:
        if root.is_dir(SHARED):
            _seed(root, dialect.cache, root.host_path(f"{top}/cache"))
    except OSError as error:
        raise Undecided(f"metadata could not be copied aside: {error.strerror}") from None
    for repo in repos:
        options += (f"--setopt={repo.id}.skip_if_unavailable=0",)
        if refresh and dialect.fresh:
            options += (f"--setopt={repo.id}.{dialect.fresh}",)
    with scratch.guard(SHARED, "tmpdir.??????"):
        how = dialect.refresh if refresh else ("-C",)
        answers = _look(root, run, dialect, (*options, *how), top, env)
    rows = tuple((dnf_output.upgrades if dialect.json else dnf_output.table)(
        answers[dialect.check]))
    found = {repo.id: _repomd(root, f"{top}/cache", repo.id) for repo in repos}
    advised = [repo_id for repo_id, index in found.items()
               if _advised(root, f"{top}/cache", dialect, repo_id, index)]
    times = [stamp for index in found.values() for stamp in _times(index)]
    newest = datetime.fromtimestamp(max(times), UTC) if times else None
    return Metadata((*options, "-C"), answers, rows,
                    newest.isoformat(timespec="seconds") if newest else None, frozenset(advised))


def _look(
    root: RootFS, run: Runner, dialect: Dialect, options: tuple[str, ...], top: str,
    env: Mapping[str, str],
) -> Mapping[tuple[str, ...], str]:
    """What it says of pending updates; where that costs no second process, of all else too."""
    if dialect.at_once:
        commands = (dialect.check, dialect.advisories, dialect.extras)
        script = "".join(f"{shlex.join(words)}\n{_MARK}\n" for words in commands) + "exit\n"
        try:
            with open(root.host_path(f"{top}/script"), "w", encoding="utf-8") as file:
                file.write(script)
        except OSError as error:
            raise Undecided(f"dnf cannot be asked: {error.strerror}") from None
        return dict(zip(commands, _shell(run, dialect, options, f"{top}/script", env),
                        strict=True))
    ok = (0,) if dialect.json else (0, UPDATES)
    done = ask(run, dialect.command, *options, *dialect.check, ok=ok, env=env)
    if not dialect.json and any(dnf_output.table(done.stdout)) != (done.code == UPDATES):
        raise Undecided(f"{dialect.command} check-update exits with {done.code}, which does not "
                        "go with what it lists: its answer is not understood")
    return {dialect.check: done.stdout}


_MARK = "config assumeno"  # prints a line, and so tells where an answer ends
_ANSWERED = re.compile(r"^assumeno: \w+\n", re.M)
_FAILED = re.compile(r"^(Error: |usage: )", re.M)


def _shell(
    run: Runner, dialect: Dialect, options: tuple[str, ...], script: str, env: Mapping[str, str]
) -> list[str]:
    """What each command of SCRIPT prints. One that fails does not end the shell, hence the look."""
    argv = (dialect.command, *options, "shell", script)
    done = ask(run, *argv, env=env)
    answers = _ANSWERED.split(done.stdout)
    if _FAILED.search(done.stderr) or len(answers) != 4:
        raise understood(CommandError(argv, "did not answer every question", "", done.stderr))
    return answers[:-1]


# -- the copy ------------------------------------------------------------------------------------


def _seed(root: RootFS, source: str, target: str) -> None:
    entries = [entry for entry in root.walk(source)
               if entry.is_file and not _NOT_SEEDED.match(entry.path)]
    if sum(entry.size for entry in entries) > SEED_LIMIT:
        return
    for entry in entries:
        place = f"{target}/{entry.path.removeprefix(f'{source}/')}"
        os.makedirs(os.path.dirname(place), exist_ok=True)
        _copy(root, entry.path, place)


def private(root: RootFS, dialect: Dialect, top: str) -> tuple[str, ...]:
    """Directories in TOP for everything that is written, and the options that name them.

    The state is copied: it tells why a package was installed; without it none counts as unneeded.
    """
    here = root.host_path(top)
    try:
        for name in ("cache", "state", "log"):
            os.mkdir(f"{here}/{name}")
        for name in root.listdir(dialect.state):
            entry = root.stat(f"{dialect.state}/{name}")
            if entry and entry.is_file and entry.size < STATE_LIMIT and not name.endswith(
                    (".pid", ".lock", "-shm")):
                _copy(root, entry.path, f"{here}/state/{name}")
    except OSError as error:
        raise Undecided(f"state of {dialect.name} could not be copied aside: {error.strerror}"
                        ) from None
    return tuple(option.format(top=top) for option in dialect.options)


def _copy(root: RootFS, source: str, target: str) -> None:
    """Copy a file of the image with its times, by which dnf tells how old it is."""
    with root.open(source) as old, open(target, "wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        times = os.fstat(old.fileno())
        new.flush()
        os.utime(new.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))


# -- what repositories say of themselves ---------------------------------------------------------


def _repomd(root: RootFS, cache: str, repo_id: str) -> ElementTree.Element:
    """The index of a repository. Raises Undecided when dnf has got along without it."""
    for path in _index_paths(root, cache, repo_id):
        try:
            data = root.read_bytes(path, _REPOMD_LIMIT)
        except FileNotFoundError:
            continue
        try:
            if b"<!DOCTYPE" not in data and b"<!ENTITY" not in data:
                return ElementTree.fromstring(data)  # noqa: S314  (no entities, bounded size)
        except (ElementTree.ParseError, ValueError, LookupError):
            pass
        raise Undecided(f"the metadata of the repository {printable(repo_id)} is not XML that can "
                        "be read (repomd.xml)")
    raise Undecided(f"there is no metadata of the repository {printable(repo_id)}: updates from it "
                    "cannot be judged")


def _index_paths(root: RootFS, cache: str, repo_id: str) -> Iterator[str]:
    """Where dnf (`ID-HASH/repodata`) and yum 3 (`ARCH/RELEASE/ID`) keep it."""
    for name in root.listdir(cache):
        if re.fullmatch(rf"{re.escape(repo_id)}-[0-9a-f]{{16}}", name):
            yield f"{cache}/{name}/repodata/repomd.xml"
    for entry in root.walk(cache):
        if entry.path.endswith(f"/{repo_id}/repomd.xml"):
            yield entry.path


def _advised(
    root: RootFS, cache: str, dialect: Dialect, repo_id: str, index: ElementTree.Element
) -> bool:
    """True when the repository publishes advisories, and dnf could read them."""
    for data in index.iter(f"{_REPO}data"):
        if data.get("type") != "updateinfo":
            continue
        size = data.findtext(f"{_REPO}open-size", "").strip()
        if size.isdecimal() and int(size) < _EMPTY:
            return False
        # dnf 4 passes over advisories that it cannot read, without a word and without this file.
        if dialect.command == "dnf" and not root.exists(f"{cache}/{repo_id}-updateinfo.solvx"):
            raise Undecided(f"the advisories of the repository {printable(repo_id)} cannot be "
                            "read: its updateinfo is damaged; use another mirror")
        return True
    return False


_REPO = "{http://linux.duke.edu/metadata/repo}"


def _times(index: ElementTree.Element) -> Iterator[int]:
    for stamp in index.iter(f"{_REPO}timestamp"):
        text = (stamp.text or "").strip().partition(".")[0]
        if text.isdecimal() and len(text) < 11:
            yield int(text)
