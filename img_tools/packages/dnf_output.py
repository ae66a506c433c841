"""What dnf and yum print, in values. A line that is not understood raises Undecided."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from img_tools.model import Undecided, printable
from img_tools.packages import rpmdb


class Row(NamedTuple):
    """A package that a repository offers; `version` is [epoch:]version-release."""

    name: str
    arch: str
    version: str
    repo: str


class Advisory(NamedTuple):
    """A security advisory and a package that it brings."""

    id: str
    severity: str
    name: str
    arch: str
    version: str


_NAME_ARCH = re.compile(r"([A-Za-z0-9][\w.+-]*)\.([a-z]\w+)$", re.A)
_VERSION = re.compile(r"(?:\d+:)?[\w.+~^]+-[\w.+~^]+$", re.A)
_REPO = re.compile(r"@?[\w.:/+-]+$", re.A)
# Blocks and lines that are no updates, whatever they look like (defect 14).
_OTHER_BLOCK = re.compile(r"Obsoleting Packages|Security:|Last metadata|Loaded plugins|"
                          r"(Extra|Available|Installed|Updated) Packages?$|"
                          r"Is this ok|Repository .* is listed more than once")


def table(text: str) -> Iterator[Row]:
    """The rows `name.arch  version  repository`, of which yum breaks long ones over lines."""
    words: list[str] = []
    for line in text.split("\n"):
        if line.startswith("Obsoleting Packages"):
            break
        if not words and (not line.strip() or _OTHER_BLOCK.match(line)):
            continue
        words += line.split()
        if len(words) < 3:
            continue
        pair = _NAME_ARCH.match(words[0])
        if (len(words) > 3 or not pair or not _VERSION.match(words[1])
                or not _REPO.match(words[2])):
            raise _not_understood(" ".join(words))
        yield Row(pair[1], pair[2], words[1].removeprefix("0:"), words[2].lstrip("@"))
        words = []
    if words:
        raise _not_understood(" ".join(words))


def upgrades(text: str) -> Iterator[Row]:
    """The updates of dnf 5's JSON."""
    document = _parsed(text, dict)
    try:
        for item in document.get("upgrades", ()):
            yield Row(item["name"], item["arch"], item["evr"].removeprefix("0:"),
                      item["repository"])
    except (KeyError, TypeError, AttributeError):
        raise _not_understood(text) from None


def advisories(text: str) -> Iterator[Advisory]:
    """The lines `id  severity/Sec.  package` of dnf 4 and yum 3."""
    for line in text.split("\n"):
        words = line.split()
        if not words or _OTHER_BLOCK.match(line):
            continue
        if len(words) != 3:
            raise _not_understood(line)
        yield _advisory(words[0], words[1].partition("/")[0], words[2])


def json_advisories(text: str) -> Iterator[Advisory]:
    """The security advisories of dnf 5's JSON."""
    try:
        for item in _parsed(text, list):
            if item["type"] == "security":
                yield _advisory(item["name"], item.get("severity") or "", item["nevra"])
    except (KeyError, TypeError, AttributeError):
        raise _not_understood(text) from None


def _advisory(name: str, severity: str, nevra: str) -> Advisory:
    package, version, arch = rpmdb.split(nevra)
    return Advisory(name, severity, package, arch, version)


def _parsed(text: str, kind: type) -> Any:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _not_understood(text) from None
    if not isinstance(document, kind):
        raise _not_understood(text)
    return document


def _not_understood(text: str) -> Undecided:
    return Undecided(f"an answer of the package manager is not understood: {printable(text[:120])}")
