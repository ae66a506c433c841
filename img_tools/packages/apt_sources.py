"""apt's sources as configured (sources.list(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from img_tools.rootfs import RootFS

MAIN = "/etc/apt/sources.list"
PARTS = "/etc/apt/sources.list.d"

_YES = frozenset({"yes", "true", "with", "on", "enable", "1"})  # apt's StringToBool
_NO = frozenset({"no", "false", "without", "off", "disable", "0"})


@dataclass(frozen=True, slots=True)
class Source:
    """One enabled `deb` archive: a URI and a suite. The URI may hold a password: see site().

    `trusted` and `insecure` are its options trusted=yes and allow-insecure=yes; `archs` limits the
    architectures it is used for, empty for all.
    """

    path: str
    line: int
    uri: str
    suite: str
    components: tuple[str, ...] = ()
    trusted: bool = False
    insecure: bool = False
    archs: tuple[str, ...] = ()

    @property
    def site(self) -> str:
        """The URI as apt names it in its output: no user, no password, no final slash."""
        return site(self.uri)

    @property
    def stem(self) -> str:
        """How the names of its index files in the lists directory begin."""
        inside = self.suite.lstrip("/") if self.suite.endswith("/") else f"dists/{self.suite}/"
        return list_name(f"{self.uri.rstrip('/')}/{inside}")

    def indexes(self, arch: str) -> list[str]:
        """Paths, below its Release file, of the indexes for ARCH."""
        if self.archs and arch not in self.archs:
            return []
        return [f"{part}/binary-{arch}/Packages" for part in self.components] or ["Packages"]

    def has_main(self, arch: str) -> bool:
        """True when it offers packages for ARCH of the component that the base system is from."""
        return any(index.startswith(("main/", "Packages")) for index in self.indexes(arch))

    def index_name(self, index: str) -> str:
        """Name, in the lists directory, of the INDEX (one of indexes()) when not compressed."""
        return self.stem + list_name(index)


def site(uri: str) -> str:
    """URI without user and password and as apt writes it (`file:/srv`, not `file:///srv/`)."""
    uri = redact(uri)
    uri = re.sub(r"^([a-z+]+):/{3,}", r"\1:/", uri)
    return uri.rstrip("/")


def redact(text: str) -> str:
    """TEXT with `user:password@` taken out of every URI in it (row B3)."""
    return re.sub(r"(://)[^/\s]*@", r"\1", text)


def list_name(uri: str) -> str:
    """The file name that apt gives what it fetched from URI (its URItoFileName)."""
    rest = re.sub(r"^[A-Za-z0-9+.-]+:(//)?", "", redact(uri))
    quoted = "".join(
        chr(byte) if 0x20 < byte < 0x7F and chr(byte) not in "\\|{}[]<>\"^~_=!@#$%&*"
        else f"%{byte:02x}" for byte in rest.encode("utf-8", "surrogateescape"))
    return quoted.replace("/", "_")


# -- configuration -------------------------------------------------------------------------------


def read(root: RootFS, arch: str) -> tuple[Source, ...]:
    """Every enabled binary source, in the order apt reads them; ARCH stands in for $(ARCH)."""
    found: list[Source] = []
    for path in (MAIN, *_part_files(root)):
        text = "\n".join(root.read_lines(path))
        parse = deb822 if path.endswith(".sources") else one_line
        found += parse(path, text.replace("$(ARCH)", arch))
    return tuple(dict.fromkeys(found))


def _part_files(root: RootFS) -> Iterator[str]:
    """Files apt reads below sources.list.d: others (*.disabled, *.save) it passes over."""
    for name in root.listdir(PARTS):
        if re.fullmatch(r"[A-Za-z0-9_.-]+\.(list|sources)", name) and not name.startswith("."):
            yield f"{PARTS}/{name}"


_WORD = re.compile(r'(?:"[^"]*"|\[[^\]]*\]|[^\s"\[])+')


def one_line(path: str, text: str) -> Iterator[Source]:
    """Sources in the format `deb [options] uri suite component...`."""
    for number, line in enumerate(text.split("\n"), 1):
        words = _WORD.findall(re.sub(r"^((?:\[[^\]]*\]|[^#\[])*)#.*", r"\1", line))
        if not words or words[0] != "deb":
            continue
        options: dict[str, str] = {}
        if len(words) > 1 and words[1].startswith("["):
            options = dict(re.findall(r"([\w-]+[+]?)=([^\s\]]*)", words.pop(1)))
        if len(words) >= 3:
            yield Source(path, number, words[1].strip('"'), words[2], tuple(words[3:]),
                         _is_yes(options.get("trusted")), _is_yes(options.get("allow-insecure")),
                         tuple(filter(None, options.get("arch", "").split(","))))


def deb822(path: str, text: str) -> Iterator[Source]:
    """Sources in stanzas of `Types: URIs: Suites: Components:`."""
    for start, fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").strip().lower() in _NO:
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(path, start, uri, suite, tuple(fields.get("components", "").split()),
                             _is_yes(fields.get("trusted")), _is_yes(fields.get("allow-insecure")),
                             tuple(fields.get("architectures", "").split()))


def _stanzas(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line it starts at, {field in lower case: value}) for each stanza; comments are dropped."""
    fields: dict[str, str] = {}
    start, name = 0, ""
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield start, fields
            fields, name = {}, ""
        elif line[0] in " \t":
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        else:
            start = start if fields else number
            name = line.partition(":")[0].strip().lower()
            fields[name] = line.partition(":")[2].strip()


def _is_yes(value: str | None) -> bool:
    return (value or "").strip().lower() in _YES


_INSECURE = re.compile(r"\b(AllowUnauthenticated|AllowInsecureRepositories)\b\s*\"?(\w*)\"?\s*;",
                       re.I)


def insecure_setting(root: RootFS) -> str | None:
    """`path: setting` when apt.conf lets unsigned packages in from every source, else None."""
    paths = [f"/etc/apt/apt.conf.d/{name}" for name in root.listdir("/etc/apt/apt.conf.d")]
    on: dict[str, str] = {}
    for path in [*paths, "/etc/apt/apt.conf"]:
        text = re.sub(r"/\*.*?\*/|^\s*(//|#).*?$", "", "\n".join(root.read_lines(path)),
                      flags=re.M | re.S)
        for name, value in _INSECURE.findall(text):
            on.pop(name.lower(), None)
            if _is_yes(value):
                on[name.lower()] = f"{path} sets {name}"
    return next(iter(on.values()), None)
