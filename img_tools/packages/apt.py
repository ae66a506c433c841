"""apt and dpkg.

An update is judged by the archive that offers it, never by its name (defect 13), and by the version
that apt would choose, never by what `upgrade` happens to let through (defect 12). One
`apt-cache policy` over all installed packages tells it; a simulated dist-upgrade is run only when
there are updates, to say which of them would be kept back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

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
    apt_actions,
    apt_policy,
    apt_refresh,
    apt_release,
    apt_sources,
    dpkg,
    locks,
)
from img_tools.packages.apt_errors import ask
from img_tools.packages.apt_policy import Policy, Version
from img_tools.packages.apt_refresh import Indexes
from img_tools.packages.apt_release import Release
from img_tools.packages.apt_sources import Source
from img_tools.rootfs import RootFS
from img_tools.runner import Runner
from img_tools.scratch import Scratch

_ADVICE = {
    "install": "apt-get install",
    "remove": "apt-get purge",
    "upgrade": "apt-get update && apt-get dist-upgrade",
    "refresh": "apt-get update",
    "repair": "dpkg --configure -a && apt-get --fix-broken install",
    "unhold": "apt-mark unhold",
    "reinstall": "apt-get install --reinstall",
    "sign": "sign the archive and name its key with Signed-By, or remove the source",
}


class Apt:
    """The apt of the image at ROOT; caches and fresh indexes go to SCRATCH."""

    name = "apt"

    def __init__(
        self, root: RootFS, run: Runner, scratch: Scratch, *, refresh: bool = True
    ) -> None:
        self._root = root
        self._run = run
        self._scratch = scratch
        self._refresh = refresh

    # -- what is installed -----------------------------------------------------------------------

    @once
    def _packages(self) -> tuple[Installed, ...]:
        return dpkg.packages(self._root)

    @once
    def installed(self) -> Mapping[str, Installed]:
        """Every package on the disk by name, read from dpkg's own files."""
        return {package.name: package for package in reversed(self._packages)}

    @once
    def _arch(self) -> str:
        """The architecture of the system: the one dpkg itself was built for."""
        known = self.installed.get("dpkg")
        archs = [package.arch for package in self._packages if package.arch not in ("all", "")]
        return known.arch if known else next(iter(archs), "amd64")

    @once
    def problems(self) -> Sequence[Problem]:
        """An interrupted dpkg, and dependencies that are not met as apt sees them."""
        return tuple(self._problems())

    def _problems(self) -> Iterator[Problem]:
        if dpkg.journal(self._root):
            yield Problem("dpkg-interrupted", "dpkg was interrupted before it wrote its database")
        nothing = ("-o", "Dir::State::lists=/nonexistent/", "-o", "Dir::Etc::sourcelist=/dev/null",
                   "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "Dir::Cache::pkgcache=",
                   "-o", "Dir::Cache::srcpkgcache=", "-o", "Debug::NoLocking=true")
        self._require_null()
        done = ask(self._run, "apt-get", "-q", *nothing, "check", ok=(0, 100))
        unmet = list(_unmet(done.stdout))
        if done.code and not unmet:
            raise Undecided(f"apt-get check failed: {printable(done.stderr.strip())}")
        yield from unmet

    def require_idle(self) -> None:
        """Raise Busy while apt or dpkg is at work, naming the process."""
        self._require_free(dpkg.LOCKS, "is changing packages just now and holds dpkg's lock")

    def require_settled(self) -> None:
        """Raise Busy while another one works, Undecided when dpkg was interrupted."""
        self.require_idle()
        self._require_free(dpkg.APT_LOCKS, "is fetching packages or indexes just now")
        if dpkg.journal(self._root):
            raise Undecided("an upgrade was cut short: dpkg --configure -a finishes it")

    def _require_free(self, paths: Sequence[str], does: str) -> None:
        holder = locks.holder(self._root, paths)
        if holder:
            raise Busy(f"{holder} {does}: let it finish and try again")

    # -- repositories ----------------------------------------------------------------------------

    @once
    def _sources(self) -> tuple[Source, ...]:
        return apt_sources.read(self._root, self._arch)

    @once
    def repositories(self) -> Sequence[Repository]:
        """Every enabled binary source; what they say of themselves from the newest index known."""
        try:
            known = self._indexes.releases
        except Undecided:  # the update checks say so; here the files still tell most
            known = apt_release.releases(self._root, apt_release.LISTS, self._sources)
        setting = apt_sources.insecure_setting(self._root)
        return tuple(self._repository(source, known.get((source.site, source.suite)), setting)
                     for source in self._sources)

    def _repository(
        self, source: Source, release: Release | None, setting: str | None
    ) -> Repository:
        unsigned = ("trusted=yes" if source.trusted else
                    "allow-insecure=yes" if source.insecure else setting)
        return Repository(
            source.path, source.line, source.site, apt_sources.redact(source.suite),
            origin=(release.origin or None) if release else None,
            official=self._os.official(source, release, self._root),
            security=self._os.security(source, release) and source.has_main(self._arch),
            unsigned=unsigned,
        )

    @once
    def _os(self) -> apt_release.System:
        return apt_release.System.read(self._root)

    # -- updates ---------------------------------------------------------------------------------

    @once
    def _indexes(self) -> Indexes:
        if not self._sources:
            raise Undecided("no package source is enabled (/etc/apt/sources.list, "
                            "/etc/apt/sources.list.d): updates cannot be judged")
        self._require_null()
        try:
            if self._refresh:
                return apt_refresh.refreshed(self._root, self._run, self._scratch, self._sources,
                                             self._arch)
            return apt_refresh.on_disk(self._root, self._scratch, self._sources, self._arch)
        except OSError as error:  # no space, or a run that is being stopped
            raise Undecided("package indexes could not be put into a private directory: "
                            f"{error.strerror or error}") from None

    def _require_null(self) -> None:
        """Programs of a bare tree would make a file of /dev/null, or fail in strange words."""
        entry = self._root.stat("/dev/null", follow=True)
        if entry is None or entry.is_file:
            raise Undecided("apt cannot run without /dev/null in the image: "
                            f"mount --bind /dev {printable(self._root.top)}/dev")

    @once
    def _policies(self) -> tuple[Policy, ...]:
        """The versions of every installed package. Raises Undecided if apt leaves one out."""
        self.require_idle()
        names = sorted({self._full_name(package) for package in self._packages})
        done = ask(self._run, "apt-cache", *self._indexes.options, "policy", *names)
        found = tuple(apt_policy.parse(done.stdout))
        silent = set(names) - {policy.name for policy in found}
        if silent:
            raise Undecided(f"apt-cache policy says nothing of {', '.join(sorted(silent)[:5])}")
        self.require_idle()
        return found

    def _full_name(self, package: Installed) -> str:
        own = package.arch in (self._arch, "all", "")
        return package.name if own else f"{package.name}:{package.arch}"

    @once
    def updates(self) -> Updates:
        """Pending updates, those that a plain upgrade passes over included."""
        found = [update for policy in self._policies for update in self._update(policy)]
        return Updates(tuple(self._reasoned(found)), self._indexes.time)

    def _update(self, policy: Policy) -> Iterator[Update]:
        newer = policy.newer
        texts = [version.text for version in newer]
        chosen = texts.index(policy.candidate) if policy.candidate in texts else len(newer)
        if newer[chosen:]:
            yield self._made(policy, newer[chosen:], Reason.PENDING)
        for version in newer[:chosen]:  # apt would choose none of them
            phased = version.phased and not newer[chosen:]
            if phased or any(self._is_ours(place) for place in version.places):
                reason = Reason.PHASED if version.phased else Reason.PINNED
                yield self._made(policy, [version], reason)
                return

    def _made(self, policy: Policy, versions: Sequence[Version], reason: Reason) -> Update:
        """The update to the first of VERSIONS, the rest being what it takes over."""
        places = [place for version in versions for place in version.places]
        fixes = [place for place in places if self._is_fix(place)]
        _, release = self._archive((fixes or places)[0])
        return Update(policy.name, policy.installed, versions[0].text, release,
                      bool(fixes), reason)

    def _is_fix(self, place: str) -> bool:
        source, _ = self._archive(place)
        return apt_release.is_security(source, self._release(source))

    def _is_ours(self, place: str) -> bool:
        """True when PLACE has the security updates of this release and not of another one."""
        source, _ = self._archive(place)
        return self._os.security(source, self._release(source))

    def _release(self, source: Source) -> Release | None:
        return self._indexes.releases.get((source.site, source.suite))

    def _archive(self, place: str) -> tuple[Source, str]:
        """The source that PLACE is from, and how to call it."""
        for source in sorted(self._sources, key=lambda source: -len(source.suite)):
            rest = place.removeprefix(f"{source.site} ")
            if rest != place and re.match(rf"{re.escape(source.suite)}(/| |$)", rest):
                release = self._release(source)
                says = release and (release.label or release.origin)
                return source, f"{says or source.site} {source.suite}"
        raise Undecided(f"apt has a package from {printable(place)}, which no source names")

    def _reasoned(self, updates: Sequence[Update]) -> Iterable[Update]:
        """UPDATES with why a plain dist-upgrade leaves them out, if it does."""
        held = {self._full_name(package) for package in self._packages if package.held}
        installable = self._installable() if updates else None
        phased = {policy.name for policy in self._policies
                  if any(version.phased for version in policy.newer[:1])}
        for update in updates:
            reason = update.reason
            if update.name in held:
                reason = Reason.HELD
            elif reason is Reason.PENDING and installable is not None and (
                    update.name not in installable):
                reason = Reason.PHASED if update.name in phased else Reason.KEPT_BACK
            yield Update(update.name, update.installed, update.candidate, update.origin,
                         update.security, reason)

    def _installable(self) -> frozenset[str] | None:
        """What a dist-upgrade would install; None when apt cannot tell (a broken system)."""
        if not self._indexes.scratch:
            return None  # its hooks could not be cleared
        done = ask(self._run, "apt-get", "-q", *self._indexes.options, "-s", "dist-upgrade",
                   ok=(0, 100))
        names = re.findall(r"^Inst (\S+) ", done.stdout, re.M)
        return frozenset(names) if done.code == 0 else None

    @once
    def unavailable(self) -> Sequence[Installed]:
        """Installed packages that no source has, neither in this version nor in a newer one."""
        orphans = {policy.name for policy in self._policies
                   if not policy.provided and not policy.newer}
        return tuple(package for package in self._packages
                     if self._full_name(package) in orphans)

    def unmodified(self, paths: Collection[str]) -> frozenset[str]:
        """See PackageManager.unmodified."""
        return dpkg.unmodified(self._root, paths)

    # -- words -----------------------------------------------------------------------------------

    def upgrade(self) -> Iterator[Action]:
        """See PackageManager.upgrade; held packages are not waited for."""
        pending = [update for update in self.updates.all if update.reason is Reason.PENDING]
        if pending:
            yield from apt_actions.upgrade(self._run, len(pending))

    def autoremove(self) -> Iterator[Action]:
        """See PackageManager.autoremove."""
        return apt_actions.autoremove(self._run)

    def purge(self, *packages: str) -> Action:
        """See PackageManager.purge."""
        return apt_actions.purge(self._run, *packages)

    def advice(self, verb: str, *packages: str) -> str:
        """The command for a person; see PackageManager.advice."""
        if verb == "security":
            return f"echo '{self._os.security_line}' >> /etc/apt/sources.list && apt-get update"
        return " ".join([_ADVICE[verb], *packages])

    def remedy(self, update: Update) -> str:
        """The command for a person that installs UPDATE."""
        install = f"apt-get install {update.name}"
        match update.reason:
            case Reason.HELD:
                return f"apt-mark unhold {update.name} && {install}"
            case Reason.PINNED:
                return f"{install}={update.candidate}, and lift its pin in /etc/apt/preferences.d"
            case Reason.KEPT_BACK:
                return f"apt-get update && {install}"
            case Reason.PHASED:
                return f"{install} -o APT::Get::Always-Include-Phased-Updates=true"
            case _:
                return self.advice("upgrade")


def _unmet(text: str) -> Iterator[Problem]:
    """The unmet dependencies that `apt-get check` lists, one a package."""
    _, _, block = text.partition("unmet dependencies:\n")
    for name, needs in re.findall(r"^ (\S+) : ((?:.|\n {3,})*)", block, re.M):
        yield Problem("unmet-dependency", f"{name}: {' '.join(needs.split())}", name)
