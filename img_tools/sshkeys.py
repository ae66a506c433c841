"""SSH keys told from content: what kind a key is and its fingerprint, never the key.

A fingerprint is what `ssh-keygen -lf` prints: SHA-256 of the public blob in base64 without padding.
Formats: OpenSSH's PROTOCOL.key, RFC 4253 section 6.6, RFC 4716, RFC 7468, PuTTY's PPK 1 to 3.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

HEAD = 64 << 10  # bytes; a private key begins well within, and the largest (RSA 16384) is 13 KB


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its content.

    `kind` is "ssh-ed25519" or, for a private key whose public half cannot be read, its format
    ("RSA private key"). `encrypted` is None where that has no meaning.
    """

    kind: str
    fingerprint: str | None = None
    encrypted: bool | None = None

    @property
    def evidence(self) -> dict[str, str | int | bool | None]:
        """What a report may say of it."""
        said = {"type": self.kind, "fingerprint": self.fingerprint, "encrypted": self.encrypted}
        return {name: value for name, value in said.items() if value is not None}

    def __str__(self) -> str:
        """"ssh-ed25519 SHA256:..."."""
        return f"{self.kind} {self.fingerprint}" if self.fingerprint else self.kind


def fingerprint(blob: bytes) -> str:
    """SHA256:... of a public key's BLOB."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    """The length-prefixed string at offset AT and the offset behind it (RFC 4251 section 5)."""
    size = int.from_bytes(data[at:at + 4])
    end = at + 4 + size
    if len(data) < at + 4 or len(data) < end:
        raise ValueError("cut short")
    return data[at + 4:end], end


def _public(blob: bytes, encrypted: bool | None = None) -> Key | None:
    try:
        kind = _string(blob, 0)[0].decode("ascii")
    except ValueError:
        return None
    if not _KIND.fullmatch(kind):
        return None
    plain, is_certificate, _ = kind.partition(CERTIFICATE)
    if not is_certificate and kind.partition("@")[0] in _FIELDS and not _whole(blob):
        return None
    return Key(kind, _certified(plain, blob) if is_certificate else fingerprint(blob), encrypted)


CERTIFICATE = "-cert-v0"
# How many fields are the key, between the nonce and the serial number (PROTOCOL.certkeys).
_FIELDS = {"ssh-rsa": 2, "ssh-dss": 4, "ssh-ed25519": 1, "sk-ssh-ed25519": 2,
           "ecdsa-sha2-nistp256": 2, "ecdsa-sha2-nistp384": 2, "ecdsa-sha2-nistp521": 2,
           "sk-ecdsa-sha2-nistp256": 3}


def _whole(blob: bytes) -> bool:
    """True when BLOB is nothing but strings, as the keys of all known types are."""
    at = 0
    try:
        while at < len(blob):
            _, at = _string(blob, at)
    except ValueError:
        return False
    return True


def _certified(plain: str, blob: bytes) -> str | None:
    """The fingerprint of the key in a certificate, which is what `ssh-keygen -lf` shows."""
    name = f"{plain}@openssh.com" if plain.startswith("sk-") else plain
    try:
        _, start = _string(blob, 0)
        _, start = _string(blob, start)
        end = start
        for _ in range(_FIELDS[plain]):
            _, end = _string(blob, end)
    except (KeyError, ValueError):
        return None
    return fingerprint(len(name).to_bytes(4) + name.encode() + blob[start:end])


_KIND = re.compile(r"[a-z][A-Za-z0-9@._-]{3,80}")
# Options before a key (sshd(8), AUTHORIZED_KEYS FILE FORMAT): no blank outside of quotes.
_OPTIONS = re.compile(rb'(?:[^\s"]|"(?:\\.|[^"\\])*+")++[ \t]+')
_PAIR = re.compile(rb"([a-z][A-Za-z0-9@._-]{3,80})[ \t]+([A-Za-z0-9+/]{20,}={0,2})(?=\s|$)")


def public_line(line: bytes) -> Key | None:
    """The key that a line of authorized_keys or of a .pub file holds, or None.

    Any type counts whose name stands in the key itself, also one that came after this was written.
    """
    line = line.lstrip(b" \t")
    if line.startswith(b"#"):
        return None
    found = _PAIR.match(line)
    if found is None and (options := _OPTIONS.match(line)):
        found = _PAIR.match(line, options.end())
    if found is None:
        return None
    key = _public(_decoded(found[2]) or b"")
    return key if key and key.kind.encode() == found[1] else None


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(re.sub(rb"\s", b"", text), validate=True)
    except binascii.Error:
        return None


# A key follows the line: headers of RFC 1421 at most, then base64. Programs and their documents
# hold the BEGIN line alone.
_PEM = re.compile(
    rb"^[ \t]*-----BEGIN ((?:[A-Z0-9]+ )*)PRIVATE KEY(?: BLOCK)?-----[ \t]*\r?\n"
    rb"((?:[ \t]*[A-Za-z-]+: [^\n]*\n|[ \t]*\r?\n)*+)"
    rb"[ \t]*([A-Za-z0-9+/=]{16,}[ \t\r\n])", re.MULTILINE)
_SSH2 = re.compile(rb"^---- BEGIN SSH2 (ENCRYPTED )?PRIVATE KEY ----", re.MULTILINE)
_PUTTY = re.compile(rb"\APuTTY-User-Key-File-[1-9]: ([a-z][\w@.-]+)\r?\nEncryption: (\S+)")
_PUTTY_PUBLIC = re.compile(rb"\nPublic-Lines: [0-9]+\r?\n((?:[A-Za-z0-9+/=]+\r?\n)+)")
_SSH1 = b"SSH PRIVATE KEY FILE FORMAT 1.1\n\0"


def private(data: bytes) -> Key | None:
    """The first private key in DATA, whatever its file is called; None when there is none."""
    if data.startswith(_SSH1):
        return Key("SSH 1 private key")
    if found := _PUTTY.match(data):
        public = _PUTTY_PUBLIC.search(data)
        key = _public(_decoded(public[1]) or b"", found[2] != b"none") if public else None
        return key or Key("PuTTY private key", encrypted=found[2] != b"none")
    if b"PRIVATE KEY" not in data:  # 50 times as fast as what follows, and most files are programs
        return None
    if found := _SSH2.search(data):
        return Key("SSH2 private key", encrypted=found[1] is not None)
    if found := _PEM.search(data):
        return _pem(found, data)
    return None


def _pem(found: re.Match[bytes], data: bytes) -> Key:
    label = found[1].decode().strip()
    if label == "OPENSSH":
        body = re.compile(rb"[A-Za-z0-9+/=\s]*").match(data, found.start(3))
        key = _openssh(_decoded(body[0]) or b"") if body else None
        return key or Key("OpenSSH private key")
    encrypted = label == "ENCRYPTED" or b"ENCRYPTED" in found[2]
    name = "" if label == "ENCRYPTED" else label
    return Key(f"{name} private key".strip(), encrypted=None if label == "PGP" else encrypted)


def _openssh(data: bytes) -> Key | None:
    """The public half stands in the clear in front of the private one (PROTOCOL.key)."""
    magic = b"openssh-key-v1\0"
    if not data.startswith(magic):
        return None
    try:
        cipher, at = _string(data, len(magic))
        _, at = _string(data, at)  # the KDF
        _, at = _string(data, at)  # and its options
        blob, _ = _string(data, at + 4)
    except ValueError:
        return None
    return _public(blob, cipher != b"none")


def public(data: bytes) -> Key | None:
    """The first public key or certificate in DATA: a .pub file or RFC 4716."""
    if data.startswith(b"---- BEGIN SSH2 PUBLIC KEY ----"):
        body = re.sub(rb"(?m)^(?:----.*|[A-Za-z-]+: (?:.*\\\r?\n)*.*)$", b"", data)
        return _public(_decoded(body) or b"")
    return next((key for line in data.split(b"\n") if (key := public_line(line))), None)
