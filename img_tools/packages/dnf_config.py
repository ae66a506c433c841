"""Configuration of dnf and yum as their files have it (dnf.conf(5), yum.conf(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from img_tools.model import Undecided
from img_tools.packages import Installed
from img_tools.packages.apt_sources import redact
from img_tools.rootfs import RootFS

MAIN = ("/etc/dnf/dnf.conf", "/etc/yum.conf")  # on EL 8 and later the second is a link to the first
REPO_DIRS = ("/usr/share/dnf5/repos.d", "/etc/yum.repos.d", "/etc/yum/repos.d",
             "/etc/distro.repos.d")
OVERRIDES = ("/usr/share/dnf5/repos.override.d", "/etc/dnf/repos.override.d")  # dnf 5
LOCKS = ("/etc/dnf/plugins/versionlock.list", "/etc/yum/pluginconf.d/versionlock.list",
         "/etc/dnf/versionlock.toml")
# Repositories come through it on registered systems, and we run without plugins.
SPACEWALK = ("/etc/dnf/plugins/spacewalk.conf", "/etc/yum/pluginconf.d/rhnplugin.conf")

_YES = frozenset({"1", "yes", "true", "on"})


@dataclass(frozen=True, slots=True)
class Repo:
    """An enabled repository; `line` is that of its section in `path`.

    `uris` are baseurl, mirrorlist or metalink without user and password, variables as written.
    `signed` is what its packages or its index must be signed by: file names or URLs of keys.
    """

    id: str
    path: str
    line: int
    uris: tuple[str, ...]
    checked: bool
    keys: tuple[str, ...]
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """What counts of it: enabled repositories, and packages that upgrades pass over."""

    repos: tuple[Repo, ...]
    excludes: tuple[str, ...]
    locked: frozenset[str]
    several: tuple[str, ...]  # packages of which several versions may be installed

    def excluded(self, name: str, arch: str, repo: str) -> bool:
        """True when the configuration hides the package NAME of REPO."""
        own = next((item.excludes for item in self.repos if item.id == repo), ())
        return any(fnmatchcase(text, pattern) for pattern in (*self.excludes, *own)
                   for text in (name, f"{name}.{arch}"))


def read(root: RootFS) -> Config:
    """The configuration. Raises Undecided for a file that cannot be understood."""
    path = next((path for path in MAIN if root.exists(path)), None)
    main = dict(_sections(root, path)).get("main", _NOTHING) if path else _NOTHING
    found = {name: (path, section) for path in _repo_files(root, path, main)
             for name, section in _sections(root, path) if name != "main"}
    for directory in OVERRIDES:
        for name in root.listdir(directory):
            for pattern, section in _sections(root, f"{directory}/{name}"):
                for repo_id in filter(lambda one: fnmatchcase(one, pattern), found):
                    found[repo_id][1].values.update(section.values)
    repos = tuple(_repo(repo_id, path, section, main) for repo_id, (path, section) in found.items()
                  if _is_yes(section.values.get("enabled", "1")))
    return Config(repos, _excludes(main.values), frozenset(_locked(root)),
                  _words(main.values.get("installonlypkgs")))


def _repo_files(root: RootFS, path: str | None, main: _Section) -> Iterator[str]:
    if path:
        yield path
    for directory in _words(main.values.get("reposdir")) or REPO_DIRS:
        for name in root.listdir(directory):
            if name.endswith(".repo") and not name.startswith("."):
                yield f"{directory}/{name}"


def _repo(repo_id: str, path: str, section: _Section, main: _Section) -> Repo:
    values = section.values
    uris = [redact(uri) for key in ("baseurl", "metalink", "mirrorlist")
            for uri in _words(values.get(key))]
    checks = [_is_yes(values.get(key, main.values.get(key, "0")))
              for key in ("gpgcheck", "pkg_gpgcheck", "repo_gpgcheck")]
    return Repo(repo_id, path, section.line, tuple(uris), any(checks),
                _words(values.get("gpgkey")), _excludes(values))


def through_plugin(root: RootFS) -> str | None:
    """The configuration of a plugin that brings repositories of its own, if one is enabled."""
    for path in SPACEWALK:
        if root.is_file(path) and _is_yes(
                dict(_sections(root, path)).get("main", _NOTHING).values.get("enabled", "0")):
            return path
    return None


@dataclass(frozen=True, slots=True)
class _Section:
    line: int
    values: dict[str, str]


_NOTHING = _Section(0, {})


def _excludes(values: Mapping[str, str]) -> tuple[str, ...]:
    return (*_words(values.get("exclude")), *_words(values.get("excludepkgs")))


def _sections(root: RootFS, path: str) -> Iterator[tuple[str, _Section]]:
    """Sections in the order of the file; what the tools would pass over with a warning is refused.

    A repository that is lost so would make the image look up to date.
    """
    name, start, key = "", 0, ""
    values: dict[str, str] = {}
    for number, line in enumerate(root.read_lines(path), 1):
        text = line.strip()
        if not text or line.startswith(("#", ";")):
            continue
        head = re.match(r"\[([^\]]+)\]", line)
        if head:
            if name:
                yield name, _Section(start, values)
            name, start, key, values = head[1].strip(), number, "", {}
        elif line[0] in " \t" and key:
            values[key] += f" {text}"
        elif "=" in text and name:
            key = text.partition("=")[0].strip().lower()
            values[key] = text.partition("=")[2].strip()
        elif not text.startswith(("#", ";")):
            raise Undecided(f"{path} line {number} is not understood: its repositories would be "
                            "passed over; correct it")
    if name:
        yield name, _Section(start, values)


def _words(value: str | None) -> tuple[str, ...]:
    return tuple(re.split(r"[,\s]+", value.strip())) if value and value.strip() else ()


def _is_yes(value: str) -> bool:
    return value.strip().lower() in _YES


def _locked(root: RootFS) -> Iterator[str]:
    """Names of packages that the plugin versionlock keeps as they are."""
    for path in LOCKS:
        for line in root.read_lines(path):
            text = line.strip()
            toml = re.match(r'name\s*=\s*"([^"]+)"', text)
            if toml and path.endswith(".toml"):
                yield toml[1]
            elif text and not text.startswith(("#", "!")) and not path.endswith(".toml"):
                yield re.sub(r"^\d+:", "", text.removesuffix(".*")).rsplit("-", 2)[0]


def marked(packages: Sequence[Installed], locked: frozenset[str]) -> Iterator[Installed]:
    """PACKAGES with what is LOCKED marked as held."""
    for item in packages:
        yield Installed(item.name, item.version, item.arch, item.state, item.name in locked)
