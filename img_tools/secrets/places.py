"""Where secrets are looked for, and where not: data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from img_tools.entries import LinkLoop
from img_tools.rootfs import RootFS

# Where builds and vendors put files. Below /var: web sites, jobs, first-boot scripts.
TOPS = ("/etc", "/home", "/root", "/opt", "/srv", "/usr/local", "/var/local", "/var/opt",
        "/var/www", "/var/lib/cloud", "/var/spool/cron", "/usr/share/nginx/html",
        "/usr/lib/systemd/system", "/lib/systemd/system")

# What else is in / is a vendor's (/app, /data), but for these: the distribution's programs, file
# systems of the kernel, what is in memory, what is mounted, and what other checks empty.
SYSTEM = frozenset((
    "bin", "boot", "dev", "lib", "lib32", "lib64", "libx32", "lost+found", "media", "mnt", "proc",
    "run", "sbin", "snap", "sys", "tmp", "usr", "var"))

# Homes of accounts that are not a place of files: they are a program's or the system's own.
NO_HOME = re.compile(r"/|/(?:bin|boot|dev|lib\w*|proc|run|sbin|sys|tmp|usr(?!/local)"
                     r"|var/(?:cache|lock|log|mail|run|spool|tmp))(?:/.*)?")

# Directories that are not entered: databases and layers of containers, whose files are no text and
# may be terabytes; the compressed objects of git.
DATA = frozenset(f"/var/lib/{name}" for name in (
    "containerd", "containers/storage", "couchdb", "docker", "elasticsearch", "etcd", "influxdb",
    "lxc", "lxd", "machines", "mongodb", "mysql", "opensearch", "postgresql", "prometheus",
    "snapd"))
NOT_ENTERED = re.compile(r"/(?:\.git/(?:objects|lfs)|__pycache__|proc|sys)$").search

# Files that no secret in plain text is in, by how they begin: programs, archives, pictures.
NO_TEXT = (
    b"\x7fELF", b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh", b"PK\3\4", b"7z\xbc\xaf",
    b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"OggS", b"ID3", b"wOFF", b"wOF2", b"\0\1\0\0\0",
    b"OTTO\0", b"%PDF-", b"\xcf\xfa\xed\xfe", b"MZ\x90\0", b"\xca\xfe\xba\xbe", b"!<arch>\n",
    b"hsqs", b"QFI\xfb", b"\xed\xab\xee\xdb",
    b"\xff\xfe", b"\xfe\xff")  # UTF-16: text, but not in bytes that a rule knows

# A library that a package manager of a language installed, and in it tests, examples, documents.
_LIBRARY = re.compile(
    r"/(?:site-packages|dist-packages|node_modules|bower_components|gems|vendor|pkg/mod"
    r"|registry/src|lib/python[0-9.]+|lib/ruby|perl5?|go/src|jvm)/(.*)", re.DOTALL)
_EXAMPLES = re.compile(
    r"(?:^|/)(?:_*tests?_*|testing|testdata|test[-_]\w+|spec|specs|_*fixtures?_*|_*mocks?_*"
    r"|testcerts?|testkeys?|\w+_vectors|examples?|samples?|docs?|demos?|man|benchmarks?)/"
    r"|(?:^|/)(?:test_[^/]*|[^/]*[._-](?:test|tests|spec)\.\w+|[^/]*\.(?:md|rst|html?|markdown))$",
    re.IGNORECASE)

# Programs and documents: an address with a password in one of them is an example.
_NO_SETTINGS = re.compile(
    r"\.(?:py|pyi|[cm]?[jt]sx?|vue|rb|go|rs|[ch]|cc|cpp|hpp|java|kt|scala|cs|swift|pl|pm|lua|ex|erl"
    r"|md|rst|adoc|html?|css|scss|map|svg|po|pot|tex|[1-8]|txt)$"
    r"|/(?:README|CHANGES|CHANGELOG|NEWS|LICENSE|COPYING)[^/]*$", re.IGNORECASE).search
# Settings that are a program by their name (Django, Node, Rails), and lists of requirements.
_SETTINGS = re.compile(
    r"/(?:requirements[^/]*\.txt"
    r"|(?:[^/]*[._-])?(?:settings|config|conf|secrets|database)(?:[._-][^/]*)?"
    r"\.(?:py|[cm]?[jt]s|rb|pl))$"
    r"|/settings/[^/]*\.py$").search
# Copies that are to be filled in.
_TEMPLATE = re.compile(r"\.(?:example|sample|dist|template|tmpl|tpl)$").search


def directories(root: RootFS, homes: Iterable[str]) -> Iterator[str]:
    """The directories to search, links resolved, none of them below another one, / aside."""
    found = set()
    vendors = [f"/{name}" for name in root.listdir("/") if name not in SYSTEM]
    for path in (*TOPS, *vendors, *(home for home in homes if not NO_HOME.fullmatch(home))):
        try:
            place = root.resolve(path)
        except LinkLoop:
            continue  # nothing can lie there
        if place.partition("/")[2].partition("/")[0] not in ("proc", "sys", "dev", "run", "tmp"):
            found.add(place)
    last = None
    for place in sorted(found - {"/"}, key=lambda path: f"{path}/"):
        if (last is None or not f"{place}/".startswith(f"{last}/")) and root.is_dir(place):
            last = place
            yield place


def entered(path: str) -> bool:
    """True for a directory that may hold settings."""
    return path not in DATA and NOT_ENTERED(path) is None


def is_example(path: str) -> bool:
    """True for a test, an example or a document that came with a library.

    Only below a directory of libraries: /root/test/key.pem is a key.
    """
    found = _LIBRARY.search(path)
    return found is not None and _EXAMPLES.search(found[1]) is not None


def is_git(path: str) -> bool:
    """True for the settings of a git repository, its remotes among them."""
    return path.endswith((".git/config", "/.gitmodules")) or (
        "/.git/modules/" in path and path.endswith("/config"))


def is_settings(path: str) -> bool:
    """True for a file of settings, by its name, and not one of a library's."""
    if _LIBRARY.search(path) or _TEMPLATE(path):
        return False
    return _NO_SETTINGS(path) is None or _SETTINGS(path) is not None
