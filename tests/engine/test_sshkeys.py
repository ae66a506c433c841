import shutil
import subprocess

import pytest

from img_tools import sshkeys
from tests import ssh


def of_line(line):
    key = sshkeys.public_line(line.encode())
    return key and (key.kind, key.fingerprint)


FOUND = ("ssh-ed25519", ssh.ED25519_FINGERPRINT)


@pytest.mark.parametrize("line", [
    ssh.ED25519, f"{ssh.ED25519} me@example.org", f"  \t{ssh.ED25519}", f"{ssh.ED25519}\r",
    f"no-pty {ssh.ED25519}", f'command="echo \\"ssh-rsa AAAAB3\\" x",no-pty {ssh.ED25519} c',
    f"cert-authority {ssh.ED25519}", f'from="10.0.0.0/8" {ssh.ED25519}',
])
def test_a_line_of_authorized_keys(line):
    assert of_line(line) == FOUND


@pytest.mark.parametrize("line", [
    "", "# " + ssh.ED25519, "garbage", "ssh-ed25519", "ssh-ed25519 AAAA", ssh.ED25519[:-8],
    ssh.ED25519.replace("ssh-ed25519", "ssh-rsa"), "x" * 1_000_000, '"' * 1_000_000,
    "ssh-ed25519 " + "A" * 1_000_000,
])
def test_what_is_no_key(line):
    assert of_line(line) is None


def test_an_unknown_type_of_key_counts():
    blob = ssh.string(b"ssh-mldsa-65@example.org") + ssh.string(bytes(32))
    line = f"ssh-mldsa-65@example.org {sshkeys.base64.b64encode(blob).decode()}"
    assert of_line(line) == ("ssh-mldsa-65@example.org", sshkeys.fingerprint(blob))


def test_the_fingerprint_of_a_certificate_is_that_of_its_key():
    for line, fingerprint in ((ssh.ED25519, ssh.ED25519_FINGERPRINT),
                              (ssh.ECDSA, ssh.ECDSA_FINGERPRINT)):
        kind = f"{line.split()[0]}-cert-v01@openssh.com"
        assert of_line(ssh.certificate(line)) == (kind, fingerprint)


@pytest.mark.parametrize(("text", "kind", "encrypted"), [
    (ssh.openssh(), "ssh-ed25519", False),
    (ssh.openssh(cipher=b"aes256-ctr"), "ssh-ed25519", True),
    (ssh.openssh().replace("\n", "\r\n"), "ssh-ed25519", False),
    ("notes\n\n" + ssh.openssh(), "ssh-ed25519", False),
    (ssh.pem("OPENSSH", bytes(60)), "OpenSSH private key", None),
    (ssh.pem("RSA", bytes(60)), "RSA private key", False),
    (ssh.pem("EC", bytes(60), "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"),
     "EC private key", True),
    (ssh.pem("DSA", bytes(60)), "DSA private key", False),
    (ssh.pem("", bytes(60)), "private key", False),
    (ssh.pem("ENCRYPTED", bytes(60)), "private key", True),
    ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nAAAA\n", "SSH2 private key", True),
    ("SSH PRIVATE KEY FILE FORMAT 1.1\n\0\0", "SSH 1 private key", None),
    ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: c\nPublic-Lines: 2\n"
     + "\n".join([ssh.ED25519.split()[1][:64], ssh.ED25519.split()[1][64:]])
     + "\nPrivate-Lines: 1\nAAAA\n", "ssh-ed25519", False),
    ("PuTTY-User-Key-File-2: ssh-rsa\r\nEncryption: aes256-cbc\r\n", "PuTTY private key", True),
])
def test_private_keys(text, kind, encrypted):
    key = sshkeys.private(text.encode())
    assert key is not None
    assert (key.kind, key.encrypted) == (kind, encrypted)
    assert key.fingerprint == (ssh.ED25519_FINGERPRINT if kind == "ssh-ed25519" else None)


@pytest.mark.parametrize("text", [
    "", ssh.ED25519, "-----BEGIN CERTIFICATE-----\nMIIB\n", "-----BEGIN RSA PRIVATE KEY-----\0%s\0",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
    "a file begins with -----BEGIN RSA PRIVATE KEY-----\nand so on\n",
    "-----BEGIN PRIVATE KEY-----\n" * 50_000,
])
def test_what_is_no_private_key(text):
    """Programs and documents hold the words of the BEGIN line too."""
    assert sshkeys.private(text.encode()) is None


def test_a_public_key_of_rfc_4716():
    body = ssh.ED25519.split()[1]
    text = (f'---- BEGIN SSH2 PUBLIC KEY ----\nComment: "a \\\nb"\n{body[:60]}\n{body[60:]}\n'
            "---- END SSH2 PUBLIC KEY ----\n")
    key = sshkeys.public(text.encode())
    assert key is not None
    assert (key.kind, key.fingerprint) == FOUND


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
@pytest.mark.parametrize("options", [
    ("ed25519",), ("ecdsa",), ("rsa", "-b", "2048"), ("ed25519", "-N", "secret-phrase"),
])
def test_fingerprints_are_those_of_ssh_keygen(tmp_path, options):
    path = tmp_path / "key"
    phrase = () if "-N" in options else ("-N", "")
    subprocess.run(["ssh-keygen", "-q", "-t", *options, *phrase, "-f", path], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True,
                           text=True).stdout.split()[1]
    private, public = sshkeys.private(path.read_bytes()), sshkeys.public(
        (tmp_path / "key.pub").read_bytes())
    assert private is not None
    assert public is not None
    assert private.fingerprint == public.fingerprint == shown
    assert private.encrypted == ("-N" in options)


def test_a_key_shows_nothing_of_its_content():
    key = sshkeys.private(ssh.openssh().encode())
    assert key is not None
    assert key.evidence == {"type": "ssh-ed25519", "fingerprint": ssh.ED25519_FINGERPRINT,
                            "encrypted": False}
    assert ssh.ED25519.split()[1] not in repr(key) + str(key)
