"""cloud-init as it is installed and configured in an image, read from its files.

The rules are those of cloud-init itself: cmd/status.py and tools/ds-identify for what disables it,
util.read_conf_with_confd for how configuration is merged, subp.runparts for which scripts run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.version import Version

from img_tools import scripts, yamlfile
from img_tools.boot import Boot
from img_tools.model import Undecided
from img_tools.once import once
from img_tools.rootfs import RootFS
from img_tools.scripts import Script
from img_tools.units import Units, UnitState
from img_tools.yamlfile import Node

CONFIG = "/etc/cloud/cloud.cfg"
MARKER = "/etc/cloud/cloud-init.disabled"
DS_IDENTIFY = "/etc/cloud/ds-identify.cfg"
SCRIPTS = "/var/lib/cloud/scripts"
SCRIPT_DIRS = ("per-instance", "per-boot", "per-once")

# The stages, each under the names that versions give its unit; 24.3 renamed the second one.
STAGES = (
    ("cloud-init-local.service",),
    ("cloud-init-network.service", "cloud-init.service"),
    ("cloud-config.service",),
    ("cloud-final.service",),
)
MAIN = "cloud-init-main.service"  # from 24.3 on the one process behind all stages
TARGET = "cloud-init.target"  # pulled in by a generator, not by an [Install] section
GENERATORS = tuple(f"{base}/systemd/system-generators/cloud-init-generator"
                   for base in ("/etc", "/usr/local/lib", "/usr/lib", "/lib"))

_SECRETS = frozenset({
    "password", "passwd", "hashed_passwd", "plain_text_passwd", "token", "token_secret",
    "activation_key", "private_key", "secret",
})
_KEYS = frozenset({"ssh_authorized_keys", "ssh_import_id", "ssh_keys"})
_USER_DATA = frozenset({"user_data", "userdata", "userdata_raw", "vendor_data", "vendordata_raw"})
_MERGING = ("merge_how", "merge_type", "conf_d")
_TRUE = frozenset({"true", "1", "on", "yes"})  # cloudinit.util.TRUE_STRINGS


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps cloud-init from running on a clone. `fix` is what to do."""

    code: str
    message: str
    path: str | None
    fix: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """A setting that gives every clone the same password, token or key; never its value."""

    path: str
    line: int
    key: str
    is_key: bool


@dataclass(frozen=True, slots=True)
class Setting:
    """The value in force for a key, and the file and line that set it."""

    path: str
    node: Node

    @property
    def line(self) -> int:
        """The line of the value in the file."""
        return self.node.line

    @property
    def words(self) -> tuple[str, ...]:
        """A list, or the one value there is."""
        return self.node.words

    @property
    def text(self) -> str | None:
        """A single value, `yes` as True; None for null, lists and mappings."""
        return self.node.text

    @property
    def modules(self) -> tuple[str, ...]:
        """Names in a list of modules, `[name, frequency]` or plain, `-` and `_` being the same."""
        names = [name for node in self.node.items or () for name in node.words[:1]]
        return tuple(name.replace("-", "_") for name in names)

    @property
    def is_true(self) -> bool:
        """True when cloud-init takes the value for yes."""
        return (self.text or "").strip().lower() in _TRUE


class CloudInit:
    """The cloud-init of the image at ROOT."""

    def __init__(self, root: RootFS) -> None:
        self._root = root
        self._units = Units(root)
        self._boot = Boot(root)

    @property
    def program(self) -> str | None:
        """The path of the program, None when there is none."""
        return next((path for path in ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init")
                     if self._root.is_file(path)), None)

    @once
    def module_version(self) -> str | None:
        """The version the Python package states: for installations no package manager knows."""
        for base in ("/usr/local/lib", "/usr/lib"):
            for entry in self._root.glob(f"{base}/python*/*-packages/cloudinit/version.py"):
                text = self._root.read_text(entry.path, limit=1 << 16)
                found = re.search(r'^__VERSION__ = "([^"]+)"', text, re.M)
                if found:
                    return found[1]
        return None

    @staticmethod
    def upstream(version: str) -> Version:
        """The upstream part of a package's VERSION.

        Epoch, package revision, `-153-g16a7302f` and `~22.04.1` are left out. Raises Undecided when
        VERSION does not begin with a number.
        """
        found = re.match(r"(?:\d+:)?v?(\d+(?:\.\d+)*)", version)
        if found is None:
            raise Undecided(f"the version '{version}' of cloud-init cannot be read")
        return Version(found[1])

    # -- configuration -----------------------------------------------------------------------

    @once
    def config(self) -> tuple[tuple[str, Node], ...]:
        """The configuration files as (path, content), those that win over others first.

        Raises Undecided for one that cannot be understood.
        """
        dropins = sorted(entry.path for entry in self._root.glob(f"{CONFIG}.d/*.cfg"))
        return tuple((path, yamlfile.read(self._root, path))
                     for path in reversed((CONFIG, *dropins)) if self._root.is_file(path))

    def setting(self, *keys: str) -> Setting | None:
        """What is in force for a key, or for a key within a key; None when it is not set.

        Mappings are merged key by key; anything else hides what files of less weight say.
        """
        for path, node in self.config:
            if unusual := next(filter(None, map(node.get, _MERGING)), None):
                raise Undecided(f"{path} line {unusual.line} changes how the files of cloud-init "
                                "are merged; what is in force cannot be judged")
        for path, node in self.config:
            value: Node | None = node
            for depth, key in enumerate(keys):
                if value is not None and value.pairs is None and depth:
                    return None
                value = value.get(key) if value is not None else None
            if value is not None:
                return Setting(path, value)
        return None

    def credentials(self) -> Iterator[Credential]:
        """Passwords, tokens and keys in the configuration, in embedded user-data too."""
        for path, node in self.config:
            yield from _credentials(path, node)

    # -- what keeps it from running ----------------------------------------------------------

    def obstacles(self) -> Iterator[Obstacle]:
        """Everything that disables cloud-init on a clone."""
        if self._root.exists(MARKER):
            yield Obstacle("disabled-by-file", f"{MARKER} disables cloud-init", MARKER,
                           f"rm {MARKER}")
        yield from self._command_lines()
        yield from self._ds_identify()
        yield from self._stages()

    def _command_lines(self) -> Iterator[Obstacle]:
        for found in self._boot.command_lines:
            if "cloud-init=disabled" in found.words and "cloud-init=enabled" not in found.words:
                yield Obstacle(
                    "disabled-by-kernel-parameter",
                    f"{found.path} line {found.line} starts the kernel with cloud-init=disabled",
                    found.path, self._boot.removal("cloud-init=disabled"), found.line)

    def _ds_identify(self) -> Iterator[Obstacle]:
        for number, line in enumerate(self._root.read_lines(DS_IDENTIFY), 1):
            key, _, value = line.split("#")[0].partition(":")
            key, value = key.strip(), value.strip().strip("\"'")
            if key == "policy" and "disabled" in value.split(","):
                yield Obstacle("disabled-by-policy", f"{DS_IDENTIFY} says `policy: {value}`",
                               DS_IDENTIFY, f"comment out line {number} of {DS_IDENTIFY}", number)
            if key == "datasource" and value not in ("", "ConfigDrive", "DigitalOcean"):
                yield Obstacle("datasource", f"{DS_IDENTIFY} allows the datasource {value} alone, "
                               "which no Droplet has",
                               DS_IDENTIFY, f"comment out line {number} of {DS_IDENTIFY}", number)

    def _stages(self) -> Iterator[Obstacle]:
        present = [next((unit for unit in names if self._state(unit) is not UnitState.ABSENT), None)
                   for names in STAGES]
        if self._state(MAIN) is not UnitState.ABSENT:
            present.append(MAIN)
        for names, unit in zip((*STAGES, (MAIN,)), present, strict=False):
            if unit is None:
                yield Obstacle("unit-missing", f"there is no unit {names[0]} to start cloud-init",
                               None, "reinstall the package cloud-init")
            elif self._state(unit) is UnitState.MASKED:
                yield Obstacle("unit-masked", f"{unit} is masked", self._units.file(unit),
                               f"systemctl unmask {unit}")
            elif self._state(unit) is UnitState.DISABLED:
                yield Obstacle("unit-disabled", f"{unit} is not enabled", self._units.file(unit),
                               self._units.enable(unit))
        yield from self._target()

    def _state(self, unit: str) -> UnitState:
        return self._units.state(unit)

    def _target(self) -> Iterator[Obstacle]:
        state = self._state(TARGET)
        if state is UnitState.MASKED:
            yield Obstacle("unit-masked", f"{TARGET} is masked", self._units.file(TARGET),
                           f"systemctl unmask {TARGET}")
        if state is not UnitState.DISABLED:
            return
        path = next((path for path in GENERATORS if self._root.stat(path)), None)
        entry = self._root.stat(path, follow=True) if path else None
        if entry is None or not entry.executable or not entry.size:
            yield Obstacle("generator", f"nothing starts {TARGET}: its systemd generator is "
                           f"{'switched off' if path else 'missing'}", path,
                           f"rm {path}" if path and path.startswith("/etc/")
                           else "reinstall the package cloud-init")

    # -- scripts -----------------------------------------------------------------------------

    @once
    def first_boot_scripts(self) -> tuple[Script, ...]:
        """Every file in the script directories, in the order in which cloud-init takes them.

        It takes all names, dot files and suffixes too, sorted by code point, and passes over
        directories and whatever is not executable.
        """
        found = []
        for kind in SCRIPT_DIRS:
            for name in self._root.listdir(f"{SCRIPTS}/{kind}"):
                script = scripts.read(self._root, f"{SCRIPTS}/{kind}/{name}")
                if script is not None:
                    found.append(script)
        return tuple(found)


def _credentials(path: str, node: Node, embedded: int | None = None) -> Iterator[Credential]:
    """The credentials below NODE; EMBEDDED is the line of the key whose text NODE was."""
    for keys, value in node.walk():
        key, line = keys[-1].replace("-", "_"), embedded or value.line
        if (key in _SECRETS and _is_password(value.text)) or (
                key == "list" and "chpasswd" in keys and _has_password(value)):
            yield Credential(path, line, ".".join(keys), is_key=False)
        elif key in _KEYS and (value.text or value.items or value.pairs):
            yield Credential(path, line, ".".join(keys), is_key=True)
        elif key in _USER_DATA and (value.text or "").startswith("#cloud-config"):
            inner = yamlfile.parse(value.text or "", f"{path} ({'.'.join(keys)})")
            yield from _credentials(path, inner, line)


def _is_password(text: str | None) -> bool:
    """True for a password or its hash; `*` and `!` lock an account, RANDOM makes a new one."""
    return bool(text) and not str(text).startswith(("*", "!")) and text not in ("R", "RANDOM")


def _has_password(node: Node) -> bool:
    """True when chpasswd's list, lines of name:password, sets a password."""
    lines = [line for word in node.words for line in word.splitlines()]
    return any(_is_password(line.partition(":")[2].strip()) for line in lines)
