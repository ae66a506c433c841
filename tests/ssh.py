"""Keys for tests: public halves that ssh-keygen made once, and private files that hold no key."""

from __future__ import annotations

import base64

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIArvCsoiAcK/NO2lyw1dLbljXS5IGdXW/MfMbq9k4eAP"
ED25519_FINGERPRINT = "SHA256:hs/+BcmTaGPa+akpEe3jxPhI5RLxRJwBPC52TDNuXvc"
ECDSA = ("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBL9aMvVQrNQusO"
         "ebsVOurtf6/ht5Fm8CLd5S+DJbwrb/golS/63eRYYgjCWeY1iExbUWNRNmWV4uL0TdHFHxmMI=")
ECDSA_FINGERPRINT = "SHA256:TNbVZsHZ7J3h3WfINCc7iFK8elu8OZfWmt3tE+/Ln5w"


def string(data: bytes) -> bytes:
    """DATA with its length in front (RFC 4251)."""
    return len(data).to_bytes(4) + data


def blob(line: str) -> bytes:
    """The key in a line of a .pub file."""
    return base64.b64decode(line.split()[1])


def pem(label: str, body: bytes, headers: str = "") -> str:
    """A PEM file; LABEL is what stands before PRIVATE KEY."""
    text = base64.encodebytes(body).decode()
    marker = f"{label} PRIVATE KEY".strip()
    return f"-----BEGIN {marker}-----\n{headers}{text}-----END {marker}-----\n"


def openssh(line: str = ED25519, cipher: bytes = b"none") -> str:
    """A private key file of OpenSSH whose public half is LINE, and whose private half is zeros."""
    kdf = b"none" if cipher == b"none" else b"bcrypt"
    return pem("OPENSSH", b"openssh-key-v1\0" + string(cipher) + string(kdf) + string(b"")
               + (1).to_bytes(4) + string(blob(line)) + string(bytes(160)))


def certificate(line: str = ED25519) -> str:
    """A certificate for the key LINE (PROTOCOL.certkeys), its signature zeros."""
    kind, key = line.split()[0], blob(line)
    fields = key[len(string(kind.encode())):]
    name = f"{kind}-cert-v01@openssh.com"
    data = string(name.encode()) + string(bytes(32)) + fields + bytes(64)
    return f"{name} {base64.b64encode(data).decode()}"
