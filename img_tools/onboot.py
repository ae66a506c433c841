"""Whether something that runs on a clone's first boot undoes a state of the image, told by reading.

Images may be locked on purpose until a first-boot script has set them up. Scripts of cloud-init
count, its runcmd and bootcmd, rc.local, units that start at boot, and the scripts these name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from img_tools import scripts
from img_tools.cloud import CloudInit
from img_tools.once import once
from img_tools.rootfs import RootFS
from img_tools.scripts import Flaw, Script
from img_tools.units import Units

FILE_LIMIT = 1 << 18  # bytes read of a file that a script names
MAX_FILES = 200
MAX_DEPTH = 3
# Programs and configuration: what a script changes, not what it has run for it.
_NOT_SCRIPTS = re.compile(r"/(usr/)?s?bin/|/usr/(lib|share|include)|/(lib|dev|proc|sys|run)/"
                          r"|/etc/(ssh|hosts|passwd|pam\.d|default)")
_PATH = re.compile(r"(?<![\w$}.*/])/[A-Za-z0-9_./+-]+")
_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that runs at first boot, its comments left out; `flaw` is what keeps it from it.

    `text` is None for a program, which cannot be read.
    """

    path: str
    text: str | None
    script: Script | None = None

    @property
    def flaw(self) -> Flaw | None:
        """What keeps it from running, or None."""
        flaws = self.script.flaws if self.script else ()
        return next((flaw for flaw in flaws if flaw is not Flaw.WRITABLE), None)


class OnBoot:
    """What runs when a clone of the image at ROOT boots for the first time."""

    def __init__(self, root: RootFS, cloud: CloudInit, units: Units) -> None:
        self._root = root
        self._cloud = cloud
        self._units = units

    def mentions(self, words: Sequence[str]) -> Step | None:
        """A step that mentions one of WORDS in any case; one that runs rather than one that cannot.

        None when no step does; one that cannot be read may all the same, see `opaque`.
        """
        if not words:
            return None
        wanted = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in words), re.I)
        found = [step for step in self.steps if step.text and wanted.search(step.text)]
        return next((step for step in found if step.flaw is None), found[0] if found else None)

    @property
    def opaque(self) -> Step | None:
        """A step that runs and is a program, so that reading does not tell what it does."""
        return next((step for step in self.steps if step.text is None and step.flaw is None), None)

    @once
    def steps(self) -> tuple[Step, ...]:
        """Every step, and the scripts it names."""
        found: list[Step] = []
        seen: set[str] = set()
        pending = [(step, 0) for step in self._first()]
        while pending and len(found) < MAX_FILES:
            step, depth = pending.pop(0)
            found.append(step)
            if depth < MAX_DEPTH and step.text and step.flaw is None:
                pending += [(inner, depth + 1) for inner in self._named(step.text, seen)]
        return tuple(found)

    def _first(self) -> Iterator[Step]:
        for script in self._cloud.first_boot_scripts:
            yield _step(script)
        if local := scripts.read(self._root, "/etc/rc.local"):
            yield _step(local)
        for path, node in self._cloud.config:
            if node.get("runcmd") or node.get("bootcmd"):
                yield Step(path, _plain(self._root.read_bytes(path, FILE_LIMIT, head=True)))
        for entry in self._root.glob("/etc/systemd/system/*.service"):
            name = entry.path.rpartition("/")[2]
            if self._root.is_file(entry.path) and self._units.starts(name):
                text = self._root.read_bytes(entry.path, FILE_LIMIT, head=True)
                yield Step(entry.path, _plain(text))

    def _named(self, text: str, seen: set[str]) -> Iterator[Step]:
        for path in dict.fromkeys(found.rstrip(".") for found in _PATH.findall(text)):
            if path not in seen and not _NOT_SCRIPTS.match(path) and self._root.is_file(path):
                seen.add(path)
                data = self._root.read_bytes(path, FILE_LIMIT, head=True)
                if b"\0" not in data:
                    yield Step(path, _plain(data))


def _step(script: Script) -> Step:
    text = None if script.text is None else _COMMENT.sub("", script.text)
    return Step(script.path, text, script)


def _plain(data: bytes) -> str:
    return _COMMENT.sub("", data.decode("utf-8", "surrogateescape"))
