"""Accounts as /etc/passwd and /etc/shadow state them.

Read from the files, not through NSS: the image's own resolver must not run, and what is in the
snapshot is what is in the files.
"""

from __future__ import annotations

from dataclasses import dataclass

from img_tools.model import Undecided
from img_tools.rootfs import RootFS

NO_LOGIN_SHELLS = frozenset({"nologin", "false", "sync", "shutdown", "halt", "true", "git-shell"})


@dataclass(frozen=True, slots=True)
class Account:
    """One line of passwd(5) with its line of shadow(5).

    `password` is field 2 of passwd, `shadow` field 2 of shadow or None without an entry; both are
    secrets: report what they are, never what they hold. `line` is the line in /etc/passwd.
    """

    name: str
    password: str
    uid: int
    gid: int
    home: str
    shell: str
    shadow: str | None
    line: int

    @property
    def can_log_in(self) -> bool:
        """True when the shell starts a session; an empty field means /bin/sh (passwd(5))."""
        return self.shell.rsplit("/", 1)[-1] not in NO_LOGIN_SHELLS


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that is not of the file's format; its text may be a secret and is not kept."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Accounts:
    """All accounts in file order, and the lines that could not be read."""

    all: tuple[Account, ...]
    malformed: tuple[Malformed, ...]

    def by_name(self, name: str) -> Account | None:
        """The first account of that name, which is the one the system uses."""
        return next((account for account in self.all if account.name == name), None)


def read(root: RootFS) -> Accounts:
    """The accounts of the image. Raises Undecided without a usable /etc/passwd."""
    malformed: list[Malformed] = []
    shadow = _shadow(root, malformed)
    accounts: list[Account] = []
    for number, line in enumerate(root.read_lines("/etc/passwd"), 1):
        if not line.strip() or line.startswith(("#", "+", "-")):  # +/-: NIS compat, nothing local
            continue
        fields = line.split(":")
        if len(fields) != 7 or not fields[0] or not _is_id(fields[2]) or not _is_id(fields[3]):
            malformed.append(Malformed("/etc/passwd", number))
            continue
        name, password, uid, gid, _, home, shell = fields
        accounts.append(
            Account(name, password, int(uid), int(gid), home, shell, shadow.get(name), number)
        )
    if not accounts:
        raise Undecided("/etc/passwd is missing or holds no account: is this the root of an image?")
    return Accounts(tuple(accounts), tuple(malformed))


def _shadow(root: RootFS, malformed: list[Malformed]) -> dict[str, str]:
    hashes: dict[str, str] = {}
    for number, line in enumerate(root.read_lines("/etc/shadow"), 1):
        if not line.strip() or line.startswith(("#", "+", "-")):
            continue
        fields = line.split(":")
        if len(fields) < 2 or not fields[0]:
            malformed.append(Malformed("/etc/shadow", number))
        else:
            hashes.setdefault(fields[0], fields[1])
    return hashes


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) < 2**32
