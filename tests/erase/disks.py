"""Disks in files: made, dirtied, erased while they are mounted, and read raw when they are not."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from img_tools import mounts
from img_tools.actions import Erase, Erased
from img_tools.erase import engine, targets
from img_tools.runner import Runner

MB = 1 << 20
CANARY = re.compile(rb"CANARY-([a-z]+)-[0-9]{6}")
CHECKERS = {"ext2": ("e2fsck", "-fn"), "ext3": ("e2fsck", "-fn"), "ext4": ("e2fsck", "-fn"),
            "xfs": ("xfs_repair", "-n", "-f"), "btrfs": ("btrfs", "check")}


def run(*argv: str | Path) -> str:
    """Standard output of ARGV, which must succeed."""
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Disk:
    """A file system KIND in the file IMAGE, mounted at TOP from a loop device."""

    kind: str
    image: Path
    top: Path
    live: dict[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, place: Path, kind: str, size: int, *options: str) -> Disk:
        """Make it below PLACE, SIZE MB large, with OPTIONS of mkfs."""
        if shutil.which(f"mkfs.{kind}") is None:
            raise Unavailable(f"no mkfs.{kind}")
        disk = cls(kind, place / "disk.img", place / "mnt")
        disk.top.mkdir()
        with open(disk.image, "wb") as file:
            file.truncate(size * MB)
        run(f"mkfs.{kind}", "-q", *({"xfs": ["-f"], "btrfs": ["-f"]}.get(kind, ["-F"])),
            *options, disk.image)
        return disk

    @contextlib.contextmanager
    def mounted(self, *options: str) -> Iterator[Path]:
        """Mount it. The loop device goes with the mount, which goes with our namespace."""
        run("mount", "-o", ",".join(["loop", *options]), self.image, self.top)
        try:
            yield self.top
        finally:
            run("umount", self.top)

    @property
    def device(self) -> str:
        """The name of the loop device."""
        name = run("findmnt", "-no", "SOURCE", self.top).strip()
        assert name.startswith("/dev/loop"), "nothing else is ever erased by a test"
        return os.path.basename(name)

    def erase(self, mode: str = "auto", watch: engine.Watch | None = None) -> Erased:
        """Erase its free space in this process."""
        assert self.device
        (target,) = targets.find(str(self.top)).targets
        return engine.erase(
            Erase(path=target.path, place=target.place, mount=target.mount, kind=target.kind,
                  mode=mode, free=target.free, why="test"), Runner(), watch or engine.Watch())

    def written(self) -> int:
        """Bytes written to the device so far."""
        return int(Path(f"/sys/block/{self.device}/stat").read_text().split()[6]) * 512

    @property
    def free(self) -> int:
        """Bytes that are free."""
        about = os.statvfs(self.top)
        return about.f_bfree * about.f_frsize

    def canaries(self) -> dict[str, int]:
        """How many of each kind lie anywhere in the raw image. It must not be mounted."""
        assert not any(mount.place == str(self.top) for mount in mounts.read())
        found: dict[str, int] = {}
        with open(self.image, "rb") as file:
            tail = b""
            while block := file.read(8 * MB):
                for one in CANARY.finditer(tail + block):
                    if one.end() > len(tail):
                        found[one[1].decode()] = found.get(one[1].decode(), 0) + 1
                tail = block[-32:]
        return found

    def check(self) -> None:
        """Demand that the file system is in order, by its own checker."""
        run(*CHECKERS[self.kind], self.image)

    def remember(self) -> None:
        """Note what the files hold that must be there afterwards."""
        self.live = self._manifest()

    def demand_unharmed(self) -> None:
        """Demand that every file holds what it held, and that nothing was added."""
        assert self._manifest() == self.live

    def _manifest(self) -> dict[str, str]:
        found = {}
        for directory, _, names in os.walk(self.top):
            for name in names:
                path = Path(directory, name)
                content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
                found[str(path.relative_to(self.top))] = hashlib.sha256(content).hexdigest()
        return found


class Unavailable(Exception):
    """This kind of disk cannot be made here."""


def dirty(disk: Disk, size: int) -> None:
    """Write SIZE MB of files, names, links and attributes full of canaries, and delete them."""
    top = disk.top
    noise = os.urandom(MB)
    for number in range(20):
        (top / f"live{number}").write_bytes(noise[:(number + 1) * 20_000])
    doomed = top / "doomed"
    doomed.mkdir()
    number = 0
    for piece in range(size):
        block = bytearray(noise)
        for place in range(0, MB, 4096):
            number += 1
            token = b"CANARY-data-%06d" % number
            block[place:place + len(token)] = token
        with open(doomed / f"big{piece // 7}", "ab") as file:
            file.write(block)
    for number in range(400):
        (doomed / f"CANARY-name-{number:06}").write_bytes(b"CANARY-small-%06d" % number * 3)
        os.symlink(f"CANARY-link-{number:06}", doomed / f"l{number}")
        with contextlib.suppress(OSError):  # without attributes
            os.setxattr(doomed / f"CANARY-name-{number:06}", "user.x", b"CANARY-attr-%06d" % number)
    run("sync", "-f", top)
    shutil.rmtree(doomed)
    run("sync", "-f", top)
    disk.remember()
