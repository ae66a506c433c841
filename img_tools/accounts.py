"""Accounts and groups as /etc/passwd, shadow, group and gshadow state them.

Read from the files, not through NSS: the image's own resolver must not run, and what is in the
snapshot is what is in the files. Lines are taken as glibc takes them (nss/nss_files), since that is
who lets people in: blanks before a name and fields missing at the end do not void a line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from img_tools import hashes
from img_tools.hashes import Field, State
from img_tools.model import Undecided
from img_tools.once import once
from img_tools.rootfs import RootFS

NO_LOGIN_SHELLS = frozenset({"nologin", "false", "sync", "shutdown", "halt", "true", "git-shell"})
COPY_LIMIT = 16 << 20  # bytes read of a copy of a password file


@dataclass(frozen=True, slots=True)
class Account:
    """One line of passwd(5) with its line of shadow(5).

    `password` is field 2 of passwd, `shadow` field 2 of shadow or None without an entry; both are
    secrets: report what they are, never what they hold. `line` is the line in /etc/passwd.
    """

    name: str
    password: str = field(repr=False)
    uid: int
    gid: int
    home: str
    shell: str
    shadow: str | None = field(repr=False)
    line: int

    @property
    def can_log_in(self) -> bool:
        """True when the shell starts a session; an empty field means /bin/sh (passwd(5))."""
        return self.shell.rsplit("/", 1)[-1] not in NO_LOGIN_SHELLS

    @property
    def passwd_state(self) -> Field:
        """What the line in /etc/passwd says of the password."""
        return hashes.passwd_field(self.password, self.name)

    @property
    def shadow_state(self) -> Field | None:
        """What the line in /etc/shadow says of the password, None without one."""
        return None if self.shadow is None else hashes.field(self.shadow)


@dataclass(frozen=True, slots=True)
class Secret:
    """A password field of a line: whose, in which file, and what it says."""

    path: str
    line: int
    name: str
    field: Field


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is not of the file's format; its text may be a secret and is not kept."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Nis:
    """A line that takes accounts from NIS (`+...` in passwd(5) with compat)."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """All accounts in file order, and the lines that could not be read.

    `orphans` are lines of shadow that no account uses: of a name that passwd does not have, or the
    second of its name. `has_shadow` is False without /etc/shadow.
    """

    all: tuple[Account, ...]
    malformed: tuple[Malformed, ...]
    orphans: tuple[Secret, ...] = ()
    nis: tuple[Nis, ...] = ()
    has_shadow: bool = True
    _names: Mapping[str, Account] = field(default_factory=dict, repr=False, compare=False)

    def by_name(self, name: str) -> Account | None:
        """The first account of that name, which is the one the system uses."""
        return self._names.get(name)


@dataclass(slots=True)
class _Lines:
    """The entries of a file, with what else was found in it on the way."""

    root: RootFS
    malformed: list[Malformed] = field(default_factory=list)
    nis: list[Nis] = field(default_factory=list)

    def read(self, path: str, count: int) -> Iterator[tuple[int, list[str]]]:
        """(line number, at least COUNT fields) of every line with a name; others are noted.

        What has not COUNT fields is noted as malformed, and read all the same as far as it goes.
        """
        for number, line in enumerate(self.root.read_lines(path), 1):
            fields = line.lstrip().split(":", count - 1)
            if not line.strip() or fields[0].startswith("#"):
                continue
            if fields[0].startswith(("+", "-")):
                if fields[0].startswith("+"):
                    self.nis.append(Nis(path, number))
                continue
            # A name with `$` is a hash out of place, which must not be shown as a name.
            named = bool(fields[0]) and "$" not in fields[0].rstrip("$")
            if len(fields) != count or ":" in fields[-1] or not named:
                self.malformed.append(Malformed(path, number))
            if len(fields) > 1 and named:
                yield number, fields + [""] * (count - len(fields))


def read(root: RootFS) -> Accounts:
    """The accounts of the image. Raises Undecided without a usable /etc/passwd."""
    lines = _Lines(root)
    shadow: dict[str, Secret] = {}
    texts: dict[str, str] = {}
    orphans: list[Secret] = []
    for number, fields in lines.read("/etc/shadow", 9):
        secret = Secret("/etc/shadow", number, fields[0], hashes.field(fields[1]))
        if fields[0] in shadow:
            orphans.append(secret)
        else:
            shadow[fields[0]], texts[fields[0]] = secret, fields[1]
    accounts = tuple(_accounts(lines, texts))
    if not accounts:
        raise Undecided("/etc/passwd is missing or holds no account: is this the root of an image?")
    names: dict[str, Account] = {}
    for account in accounts:
        names.setdefault(account.name, account)
    orphans += [secret for name, secret in shadow.items() if name not in names]
    return Accounts(accounts, tuple(lines.malformed), tuple(orphans), tuple(lines.nis),
                    root.exists("/etc/shadow"), names)


def _accounts(lines: _Lines, shadow: Mapping[str, str]) -> Iterator[Account]:
    for number, fields in lines.read("/etc/passwd", 7):
        name, password, *ids = fields[:4]
        uid, gid = (_id(text) for text in ids)
        if uid is None or gid is None:
            noted = Malformed("/etc/passwd", number)
            if noted not in lines.malformed[-1:]:
                lines.malformed.append(noted)
        else:
            yield Account(name, password, uid, gid, fields[5], fields[6], shadow.get(name),
                          number)


def _id(text: str) -> int | None:
    """TEXT as strtoul(3) in glibc takes it, so that " 0" and "+0" are root too."""
    match = re.fullmatch(r"\s*([+-]?)0*([0-9]*)", text) if text.strip(" +-") else None
    if match is None:
        return None
    digits = match[2] or "0"
    largest = 2**32 - 1
    return largest if len(digits) > 10 or (match[1] == "-" and digits != "0") else min(
        int(digits), largest)


class PasswordFiles:
    """Password fields outside accounts: of groups, and in copies of the four files."""

    def __init__(self, root: RootFS) -> None:
        self._root = root

    @once
    def groups(self) -> tuple[Secret, ...]:
        """Every field 2 of /etc/group and /etc/gshadow."""
        lines = _Lines(self._root)
        return tuple(
            [Secret("/etc/group", number, fields[0], hashes.passwd_field(fields[1], fields[0]))
             for number, fields in lines.read("/etc/group", 4)]
            + [Secret("/etc/gshadow", number, fields[0], hashes.field(fields[1]))
               for number, fields in lines.read("/etc/gshadow", 4)])

    def copies(self) -> Iterator[tuple[str, tuple[str, ...] | None]]:
        """(path, names with a hash) of every copy that holds one; None when it cannot be told.

        Tools of shadow-utils leave `shadow-`, dpkg, rpm and editors other endings, and Debian's
        cron job /var/backups/shadow.bak. opasswd is where PAM keeps former passwords.
        """
        patterns = [pattern.format(name)
                    for pattern in ("/etc/{}?*", "/etc/.{}?*", "/var/backups/{}*",
                                    "/var/backups/.{}*")
                    for name in ("passwd", "shadow", "group", "gshadow")]
        for pattern in (*patterns, "/etc/security/opasswd*"):
            for entry in self._root.glob(pattern):
                if entry.is_file and entry.size:
                    held = None if entry.size > COPY_LIMIT else self._hashes_in(entry.path)
                    if held is None or held:
                        yield entry.path, held

    def _hashes_in(self, path: str) -> tuple[str, ...] | None:
        data = self._root.read_bytes(path, COPY_LIMIT)
        if b"\0" in data[:4096] or data.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\x28\xb5")):
            return None
        names: list[str] = []
        for line in os.fsdecode(data).split("\n"):
            name, _, rest = line.partition(":")
            fields = rest.split(":")
            # A line of opasswd is name:uid:count:hash,hash.
            texts = fields[2].split(",") if "/opasswd" in path and len(fields) > 2 else fields[:1]
            forms = {hashes.field(text).form for text in texts} - {None, hashes.UNKNOWN}
            # A word of 13 letters is DES only in a file of this format: three fields at least.
            if forms and len(fields) > 2:
                names.append("?" if "$" in name else name.strip())
        return tuple(names)


__all__ = ["Account", "Accounts", "Field", "Malformed", "Nis", "PasswordFiles", "Secret", "State",
           "read"]
