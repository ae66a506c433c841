"""What boots the image: kernels, their command lines and fstab(5), read from files."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from img_tools.model import Undecided
from img_tools.mounts import unescaped
from img_tools.once import once
from img_tools.rootfs import RootFS

GRUB_CONFIG = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg",
               "/boot/grub/grub.conf")  # the last is GRUB 0.97's, on CentOS 6
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?(GRUB_CMDLINE_LINUX(?:_DEFAULT)?)=(.*)")
_KERNEL_LINE = re.compile(r"\s*(?:linux(?:16|efi)?|kernel)\s+\S+\s*(.*)")
_MENU = re.compile(r"\s*(?:menuentry|submenu|title)\s+(.*)")
_TAGS = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid",
         "PARTLABEL": "by-partlabel"}


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Parameters that a kernel is, or will be, started with, and the line that says so."""

    path: str
    line: int
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel in /boot; `initrd` is the path of its initial RAM disk, None without (or empty)."""

    release: str
    path: str
    initrd: str | None


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of fstab(5), escapes resolved; missing fields are empty."""

    line: int
    spec: str
    target: str
    fstype: str
    options: frozenset[str]

    @property
    def device(self) -> str | None:
        """The path of the device that `spec` names, by a tag as udev links it; None for others."""
        name, _, value = self.spec.partition("=")
        if name in _TAGS:
            return f"/dev/disk/{_TAGS[name]}/{_udev(value)}"
        return self.spec if self.spec.startswith("/dev/") else None


class Boot:
    """How the image at ROOT boots."""

    def __init__(self, root: RootFS) -> None:
        self._root = root

    @once
    def command_lines(self) -> tuple[CommandLine, ...]:
        """Every command line that boots by default, those of recovery entries left out.

        /etc/default/grub counts too: the next kernel update makes it effective. /proc/cmdline only
        where no boot loader is configured in the image, since it may have been typed once.
        """
        loader = (*self._grub_config(), *self._loader_entries())
        found = (*self._defaults(), *loader, *self._whole("/etc/kernel/cmdline"))
        if self._root.top == "/" and not loader:
            return (*found, *self._whole("/proc/cmdline"))
        return found

    def removal(self, word: str) -> str:
        """How to remove WORD from the command line of every kernel here."""
        if any(self._root.exists(f"{directory}/grubby") for directory in ("/usr/sbin", "/sbin")):
            return f"grubby --update-kernel=ALL --remove-args={shlex.quote(word)}"
        return f"remove {word} from /etc/default/grub and /etc/default/grub.d, then update-grub"

    def _lines(self, path: str) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(self._root.read_lines(path), 1):
            if not line.lstrip().startswith("#"):
                yield number, line

    def _defaults(self) -> Iterator[CommandLine]:
        """GRUB_CMDLINE_LINUX*; a later assignment replaces what it does not mention itself."""
        known: dict[str, list[CommandLine]] = {}
        dropins = sorted(entry.path for entry in self._root.glob("/etc/default/grub.d/*.cfg"))
        for path in ("/etc/default/grub", *dropins):
            for number, line in self._lines(path):
                if match := _ASSIGNMENT.match(line):
                    name, value = match[1], match[2]
                    if not re.search(rf"\$\{{?{name}\b", value):
                        known[name] = []
                    words = [word for part in _words(value)[:1] for word in part.split()]
                    known.setdefault(name, []).append(CommandLine(path, number, tuple(words)))
        for lines in known.values():
            yield from lines

    def _grub_config(self) -> Iterator[CommandLine]:
        efi = sorted(entry.path for entry in self._root.glob("/boot/efi/EFI/*/grub.cfg"))
        for path in (*GRUB_CONFIG, *efi):
            title = ""
            for number, line in self._lines(path):
                if match := _MENU.match(line):
                    title = match[1].split("{")[0]
                elif (match := _KERNEL_LINE.match(line)) and not _is_rescue(title):
                    yield CommandLine(path, number, tuple(match[1].split()))

    def _loader_entries(self) -> Iterator[CommandLine]:
        """Entries of the Boot Loader Specification, and grubenv, to which theirs may refer."""
        for path in sorted(entry.path for entry in self._root.glob("/boot/loader/entries/*.conf")):
            if not _is_rescue(path):
                for number, line in self._lines(path):
                    if line.startswith("options"):
                        yield CommandLine(path, number, tuple(line.split()[1:]))
        for number, line in self._lines("/boot/grub2/grubenv"):
            if line.startswith("kernelopts="):
                words = line.removeprefix("kernelopts=").split()
                yield CommandLine("/boot/grub2/grubenv", number, tuple(words))

    def _whole(self, path: str) -> Iterator[CommandLine]:
        for number, line in self._lines(path):
            if line.strip():
                yield CommandLine(path, number, tuple(line.split()))

    @once
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels in /boot, oldest first; rescue kernels are left out."""
        releases = [entry.path.removeprefix("/boot/vmlinuz-")
                    for entry in self._root.glob("/boot/vmlinuz-*")
                    if not _is_rescue(entry.path)]
        return tuple(Kernel(release, f"/boot/vmlinuz-{release}", self._initrd(release))
                     for release in sorted(releases, key=version_key))

    def _initrd(self, release: str) -> str | None:
        for path in (f"/boot/initrd.img-{release}", f"/boot/initramfs-{release}.img",
                     f"/boot/initrd-{release}"):
            entry = self._root.stat(path, follow=True)
            if entry is not None and entry.is_file and entry.size:
                return path
        return None

    @once
    def fstab(self) -> tuple[Mount, ...]:
        """The lines of /etc/fstab."""
        mounts = []
        for number, line in enumerate(self._root.read_lines("/etc/fstab"), 1):
            fields = [unescaped(os.fsencode(field)) for field in line.split()]
            if fields and not fields[0].startswith("#"):
                spec, target, fstype, options = [*fields, "", "", ""][:4]
                mounts.append(Mount(number, spec.replace('"', ""), target, fstype,
                                    frozenset(options.split(","))))
        return tuple(mounts)

    def device_node(self, path: str) -> str | None:
        """What the device PATH leads to, None when it is not there; of use on a live system alone.

        Names of tags are the same in upper and lower case. Raises Undecided without /dev/disk.
        """
        directory, name = os.path.split(path)
        if directory.startswith("/dev/disk/"):
            if not self._root.is_dir("/dev/disk"):
                raise Undecided("there is no /dev/disk, so UUIDs and labels cannot be looked up: "
                                "run it on the system itself, not in a container")
            name = next((known for known in self._root.listdir(directory)
                         if known.lower() == name.lower()), name)
        node = self._root.resolve(f"{directory}/{name}")
        return node if self._root.stat(node) else None


def version_key(release: str) -> list[tuple[int, int, str]]:
    """A key that orders kernel releases as boot loaders do: numbers by value, above letters."""
    return [(1, int(part), "") if part.isascii() and part.isdigit() else (0, 0, part)
            for part in re.findall(r"[0-9]+|[^0-9.\-_+~]+", release)]


def _udev(name: str) -> str:
    r"""NAME as udev writes it in /dev/disk/by-*: a blank is \x20."""
    return re.sub(r"[^\w#+\-.:=@]", lambda match: "".join(
        f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogateescape")), name)


def _is_rescue(text: str) -> bool:
    return "recovery" in text.lower() or "rescue" in text.lower()


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return [text.strip("\"'")]
