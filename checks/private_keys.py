"""No private key is in the image

A key that every customer has protects nobody: who has one clone can read the traffic of all others,
pose as them, or sign as you. Keys are told by content, under any name: PEM (RSA, EC, PKCS #8), of
OpenSSH, PuTTY, PGP and age, also those inside YAML, JSON and environment files. Where is searched,
and what not, is the same as for tokens (`img-check --explain tokens`).

Have a first-boot script make the key and remove this one. Keys in ~/.ssh, in the top of a home and
in /etc/ssh are told by ssh-keys and ssh-host-keys, those of services and certificates in their
usual places by node-identity and credentials. A key is reported by type and, where its public half
can be read, SHA256 fingerprint, never by content; one with a passphrase is a key as well.
"""

from collections.abc import Iterator
from contextlib import suppress
from shlex import quote

from img_tools import residue
from img_tools.host import Host, Secret
from img_tools.model import Finding, Note, Undecided, bounded, fail

CATEGORY = "secrets"
CODES = ("private-key",)
REFERENCES = (
    "CWE-321: use of hard-coded cryptographic key", "AWS Marketplace: no hardcoded secrets")

KEY = "private-key"
# Findings of other checks that say of a file that it is a key.
ELSEWHERE = ("credentials", "identity", "node-identity")
KEYS = ("certificate-key", "cloud-token", "gpg-key", "node-identity", "subscription", "tls-key",
        "vpn-key")


def check(host: Host) -> Iterator[Finding | Note]:
    """Yield a finding for every file with a private key that no other check names."""
    found = [secret for secret in host.secrets.secrets if secret.rule.code == KEY
             and not (secret.key and secret.path.startswith("/etc/ssh/"))]
    known = set(_told_elsewhere(host)) if found else ()
    yield from bounded(_finding(secret) for secret in sorted(found, key=lambda one: one.path)
                       if secret.path not in known)
    yield from map(Note, host.secrets.notes())
    host.secrets.require_whole()


def _told_elsewhere(host: Host) -> Iterator[str]:
    """Paths that other checks name as keys, as far as they can be read; what not, those say."""
    with suppress(Undecided):
        yield from (item.target for item in host.ssh_store if item.kind == KEY)
    for topic in ELSEWHERE:
        with suppress(Undecided):
            yield from (match.entry.path for match in residue.matches(host, topic)
                        if match.residue.code in KEYS)


def _finding(secret: Secret) -> Finding:
    kind = str(secret.key) if secret.key else ""
    about = f": {kind}" if kind not in ("", "private key") else ""
    more = f", and {secret.count - 1} more in this file" if secret.count > 1 else ""
    return fail(
        KEY, f"{secret.path} holds {secret.rule.what} from line {secret.line} on{about}{more}",
        path=secret.path, line=secret.line,
        evidence=secret.key.evidence if secret.key else {"type": "unknown"},
        fix=f"have a first-boot script make it, then: rm {quote(secret.path)}")
