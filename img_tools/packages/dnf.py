"""dnf 4, dnf 5 and yum 3 (dnf_dialect says what differs).

An update is a security update when its repository publishes a security advisory for the package. A
repository without advisories (CentOS 7, CentOS Stream) cannot prove that an update is none, so each
of its updates counts as one and says so (defect 14).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby

from img_tools.actions import Action
from img_tools.model import Undecided, printable
from img_tools.once import once
from img_tools.packages import (
    Busy,
    Installed,
    Problem,
    Reason,
    Repository,
    Update,
    Updates,
    dnf_actions,
    dnf_config,
    dnf_dialect,
    dnf_output,
    dnf_refresh,
    dnf_repos,
    locks,
    rpmdb,
)
from img_tools.packages.dnf_config import Config
from img_tools.packages.dnf_dialect import Dialect
from img_tools.packages.dnf_errors import NoSuchCommand, ask
from img_tools.packages.dnf_output import Advisory, Row
from img_tools.packages.dnf_refresh import Metadata
from img_tools.rootfs import RootFS
from img_tools.runner import Runner
from img_tools.scratch import Scratch

_ADVICE = {
    "install": "install",
    "reinstall": "reinstall",
    "remove": "remove",
    "upgrade": "upgrade --refresh",
    "refresh": "makecache",
    "repair": "distro-sync",
    "unhold": "versionlock delete",
}
# Files in which dnf and yum keep the number of the process that works on the packages.
_PID_FILES = ("/var/lib/dnf/rpmdb_lock.pid", "/run/yum.pid", "/var/run/yum.pid")
# Packages that are installed beside their former versions (installonlypkgs of dnf.conf(5)).
_SEVERAL = ("kernel*", "installonlypkg*", "kmod-*", "*-kmod-*")


class Dnf:
    """The dnf or yum of the image at ROOT; caches and fresh metadata go to SCRATCH."""

    def __init__(
        self, root: RootFS, run: Runner, scratch: Scratch, *, refresh: bool = True
    ) -> None:
        self._root = root
        self._run = run
        self._scratch = scratch
        self._refresh = refresh
        self._turn = threading.Lock()

    @property
    def name(self) -> str:
        """The command: dnf, dnf5 or yum."""
        try:
            return self._dialect.command
        except Undecided:
            return "dnf"

    @once
    def _dialect(self) -> Dialect:
        return dnf_dialect.find(self._root)

    @once
    def _config(self) -> Config:
        return dnf_config.read(self._root)

    # -- what is installed -----------------------------------------------------------------------

    @once
    def _env(self) -> Mapping[str, str]:
        """The environment in which rpm, and all that use it, read a copy of the database."""
        self.require_idle()
        return rpmdb.private(self._root, self._scratch)

    @once
    def _packages(self) -> tuple[Installed, ...]:
        found = rpmdb.packages(self._run, self._env)
        return tuple(dnf_config.marked(found, self._config.locked))

    @once
    def _by_name(self) -> Mapping[str, Sequence[Installed]]:
        """The packages of each name, the newest first."""
        return {name: tuple(same) for name, same in groupby(self._packages,
                                                            key=lambda item: item.name)}

    @once
    def installed(self) -> Mapping[str, Installed]:
        """Every package by name, the newest of several versions."""
        return {name: same[0] for name, same in self._by_name.items()}

    @once
    def problems(self) -> Sequence[Problem]:
        """Dependencies that are not met, and packages that an interrupted upgrade left twice."""
        return (*rpmdb.problems(self._run, self._env), *self._twice())

    def _twice(self) -> Iterator[Problem]:
        several = (*_SEVERAL, *self._config.several)
        whole = sorted(self._packages, key=lambda item: (item.name, item.arch))
        for (name, _), group in groupby(whole, key=lambda item: (item.name, item.arch)):
            versions = [item.version for item in group]
            if len(versions) > 1 and not any(fnmatchcase(name, one) for one in several):
                yield Problem("installed-twice", f"{name} is installed in the versions "
                              f"{' and '.join(versions)}: an upgrade did not end", name)

    def require_idle(self) -> None:
        """Raise Busy while another process changes packages, naming it."""
        holder = locks.holder(self._root, rpmdb.LOCKS) or self._at_work()
        if holder:
            raise Busy(f"{holder} is changing packages just now: let it finish and try again")

    def require_settled(self) -> None:
        """Raise Busy while another one works, Undecided when an upgrade was cut short."""
        self.require_idle()
        for problem in self._twice():
            raise Undecided(f"{problem.message}; {self.advice('repair')} finishes it")

    def _at_work(self) -> locks.Holder | None:
        """A dnf or yum that has not come to its transaction yet; files of dead ones count not."""
        for path in _PID_FILES if self._run.top == "/" else ():
            pid = "".join(self._root.read_lines(path)).strip()
            name = locks.process(int(pid)) if re.fullmatch(r"\d{1,9}", pid) else None
            if name and re.match(r"dnf|yum|python|platform-python|packagekit", name):
                return locks.Holder(int(pid), name)
        return None

    # -- repositories ----------------------------------------------------------------------------

    @once
    def repositories(self) -> Sequence[Repository]:
        """Every enabled repository, as its file has it."""
        system = dnf_repos.System.read(self._root)
        return tuple(system.repository(repo) for repo in self._config.repos)

    # -- updates ---------------------------------------------------------------------------------

    @once
    def _metadata(self) -> Metadata:
        dnf_repos.demand_some(self._root, self._config)
        found = dnf_refresh.fetch(self._root, self._run, self._scratch, self._dialect,
                                  self._config.repos, self._env, refresh=self._refresh)
        self.require_idle()
        return found

    def _ask(self, *argv: str) -> str:
        """What the command prints; one at a time, since yum 3 trips over locks of its own."""
        if argv in self._metadata.answers:
            return self._metadata.answers[argv]
        with self._turn:
            return ask(self._run, self._dialect.command, *self._metadata.options, *argv,
                       env=self._env).stdout

    @once
    def updates(self) -> Updates:
        """Pending updates, those of locked and excluded packages included."""
        rows, advised = self._metadata.rows, self._metadata.advised
        known: Mapping[tuple[str, str], Sequence[Advisory]] = {}
        if any(row.repo in advised for row in rows):
            try:
                known = self._advisories()
            except NoSuchCommand:  # yum of CentOS 6, without a plugin
                advised = frozenset()
        return Updates(tuple(self._update(row, known.get((row.name, row.arch), ()),
                                          row.repo not in advised) for row in rows),
                       self._metadata.time)

    def _advisories(self) -> Mapping[tuple[str, str], Sequence[Advisory]]:
        """Security advisories by package. Raises NoSuchCommand when this yum cannot read them."""
        parse = dnf_output.json_advisories if self._dialect.json else dnf_output.advisories
        found: dict[tuple[str, str], list[Advisory]] = {}
        for item in parse(self._ask(*self._dialect.advisories)):
            found.setdefault((item.name, item.arch), []).append(item)
        return found

    def _update(self, row: Row, advisories: Sequence[Advisory], unproven: bool) -> Update:
        installed = self._before(row)
        newer = [item for item in advisories
                 if not installed or rpmdb.compare(item.version, installed) > 0]
        reason = (Reason.HELD if row.name in self._config.locked else
                  Reason.PINNED if self._config.excluded(row.name, row.arch, row.repo) else
                  Reason.PENDING)
        return Update(row.name, installed, row.version, row.repo, bool(newer) or unproven, reason,
                      tuple(sorted({item.id for item in newer})), unproven and not newer)

    def _before(self, row: Row) -> str:
        """The version that ROW would replace; of another architecture where that changed."""
        same = self._by_name.get(row.name, ())
        versions = [item.version for item in same if item.arch == row.arch] or [
            item.version for item in same]
        return versions[0] if versions else ""

    @once
    def unavailable(self) -> Sequence[Installed]:
        """Installed packages that no repository has in any version."""
        return tuple(self._named(self._dialect.extras))

    def _named(self, argv: Sequence[str]) -> Iterator[Installed]:
        """Installed packages that the answer to ARGV names, as `name.arch` or in a table."""
        text = self._ask(*argv)
        pairs = ({(row.name, row.arch) for row in dnf_output.table(text)} if argv[0] == "list" else
                 {tuple(line.strip().rsplit(".", 1)) for line in text.split("\n") if line.strip()})
        return (item for item in self._packages if (item.name, item.arch) in pairs)

    def unmodified(self, paths: Collection[str]) -> frozenset[str]:
        """See PackageManager.unmodified."""
        return rpmdb.unmodified(self._root, self._run, self._env, paths)

    # -- words -----------------------------------------------------------------------------------

    def upgrade(self) -> Iterator[Action]:
        """See PackageManager.upgrade; locked and excluded packages are not waited for."""
        pending = [item for item in self.updates.all if item.reason is Reason.PENDING]
        if pending:
            yield from dnf_actions.upgrade(self._root, self._dialect, len(pending))

    def autoremove(self) -> Iterator[Action]:
        """See PackageManager.autoremove; yum 3 does not know why a package was installed."""
        if not self._dialect.unneeded:
            return
        names = [item.name for item in self._unneeded()]
        if names:
            yield dnf_actions.act(self._root, self._dialect, "autoremove",
                                  why=f"nothing needs {', '.join(names)} any more")

    def _unneeded(self) -> Iterator[Installed]:
        top = self._scratch.make(dnf_refresh.STATE_LIMIT)
        options = dnf_refresh.private(self._root, self._dialect, top)
        text = ask(self._run, self._dialect.command, *options, *self._dialect.unneeded,
                   env=self._env).stdout
        pairs = {line.strip() for line in text.split("\n")}
        return (item for item in self._packages if f"{item.name}.{item.arch}" in pairs)

    def purge(self, *packages: str) -> Action:
        """See PackageManager.purge."""
        return dnf_actions.purge(self._root, self._dialect, *packages)

    def advice(self, verb: str, *packages: str) -> str:
        """The command for a person; see PackageManager.advice."""
        if verb == "sign":
            return "set gpgcheck=1 and name its key with gpgkey=, or remove the repository"
        if verb == "security":
            return ("enable the distribution's repositories with updates in /etc/yum.repos.d "
                    "(enabled=1)")
        if verb == "upgrade" and self.name == "yum":
            return "yum clean expire-cache && yum upgrade"
        return " ".join([self.name, _ADVICE[verb], *packages])

    def remedy(self, update: Update) -> str:
        """The command for a person that installs UPDATE."""
        upgrade = f"{self.name} upgrade {update.name}"
        match update.reason:
            case Reason.HELD:
                return f"{self.name} versionlock delete {update.name} && {upgrade}"
            case Reason.PINNED:
                return (f"take {printable(update.name)} out of the lines `exclude=` and "
                        f"`excludepkgs=` of {self._configured_in(update)}, then: {upgrade}")
            case _:
                return self.advice("upgrade")

    def _configured_in(self, update: Update) -> str:
        paths = [repo.path for repo in self._config.repos
                 if repo.id == update.origin and repo.excludes]
        main = next((path for path in dnf_config.MAIN if self._root.exists(path)), "")
        return " and ".join(dict.fromkeys(filter(None, [main, *paths])))
