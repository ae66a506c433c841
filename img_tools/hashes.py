"""What a password field says, told without its content: set, empty, locked, or locked over a hash.

Forms from crypt(5); what a field means from passwd(5), shadow(5) and pam_unix, which refuses a
field that begins with `*` or `!` and otherwise compares it with what crypt(3) returns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What can be done with the password of a field."""

    SET = "set"  # a password opens it, or that cannot be ruled out
    EMPTY = "empty"  # no password is asked for
    LOCKED = "locked"  # no password opens it and none can be recovered from it
    LOCKED_HASH = "locked-hash"  # no password opens it, but its hash is still there to be cracked
    SHADOW = "shadow"  # passwd(5): the answer is in shadow(5)


@dataclass(frozen=True, slots=True)
class Field:
    """The verdict on one field; `form` names the hashing method, never the hash."""

    state: State
    form: str | None = None


UNKNOWN = "unknown form"
_PREFIXES = {
    "$y$": "yescrypt", "$gy$": "gost-yescrypt", "$7$": "scrypt", "$2a$": "bcrypt",
    "$2b$": "bcrypt", "$2x$": "bcrypt", "$2y$": "bcrypt", "$6$": "sha512crypt",
    "$5$": "sha256crypt", "$sha1$": "sha1crypt", "$sha1": "sha1crypt", "$md5$": "SunMD5",
    "$md5": "SunMD5", "$1$": "md5crypt", "$3$": "NTHASH",
}
_PREFIX = re.compile(r"\$\w*\$?")
_B64 = "[./0-9A-Za-z]"
_BSDI = re.compile(rf"_{_B64}{{19}}")
# Traditional DES, and bigcrypt: a salt of 2, then 11 for every 8 characters of the password. What
# follows a comma is HP-UX's password aging, which pam_unix cuts off before it compares.
_DES = re.compile(rf"{_B64}{{2}}(?:{_B64}{{11}})+(?:,.*)?")
SHORTEST = 13  # characters of the shortest result of crypt(3)


def field(text: str) -> Field:
    """What TEXT, field 2 of shadow(5) or gshadow(5), says. What is not provably locked is set."""
    if not text:
        return Field(State.EMPTY)
    if text[0] in "!*":
        # Some lock with more than a mark in front, as Solaris does with "*LK*": look between them.
        forms = [form for part in re.split(r"[!*]+", text) if (form := hash_form(part))]
        return Field(State.LOCKED_HASH, forms[0]) if forms else Field(State.LOCKED)
    form = hash_form(text)
    if form is None and _impossible(text):
        return Field(State.LOCKED)
    return Field(State.SET, form or UNKNOWN)


def passwd_field(text: str, name: str) -> Field:
    """What TEXT, field 2 of passwd(5) or group(5) in NAME's line, says.

    `x`, and `##name` as pam_unix has it, refer to shadow(5); *NP* did so on NIS+.
    """
    return Field(State.SHADOW) if text in ("x", f"##{name}", "*NP*") else field(text)


def hash_form(text: str) -> str | None:
    """The method of crypt(5) that made TEXT, or None when it is of no known form."""
    if text.startswith("$"):
        match = _PREFIX.match(text)
        return _PREFIXES.get(match[0]) if match else None
    if _BSDI.fullmatch(text):
        return "bsdicrypt"
    return "descrypt" if _DES.fullmatch(text) else None


def _impossible(text: str) -> bool:
    """True when crypt(3) returns no such text: too short, or with a character it never uses."""
    if text[0] not in "$_" and len(text) < SHORTEST:
        return True
    return any(char in "!*" or char.isspace() for char in text)
