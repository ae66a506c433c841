import contextlib
import hashlib
import json

import pytest

from img_tools.model import Note, Skip, Undecided
from tests import ssh
from tests.support import Fifo, Link, check, dpkg

RSA = ssh.pem("RSA", bytes(range(200)))


def found(image, files):
    return [one for one in check("private-keys", image(files)) if not isinstance(one, Note)]


@pytest.mark.parametrize(("text", "kind"), [
    (ssh.openssh(), "ssh-ed25519"), (ssh.openssh(cipher=b"aes256-ctr"), "ssh-ed25519"),
    (RSA, "RSA private key"), (RSA.replace("\n", "\r\n"), "RSA private key"),
    (ssh.pem("EC", bytes(60)), "EC private key"), (ssh.pem("", bytes(60)), "private key"),
    (ssh.pem("ENCRYPTED", bytes(60)), "private key"),
    (ssh.pem("RSA", bytes(60), "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"),
     "RSA private key"),
    ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n" + "lQVYBF" * 20 + "\n",
     "PGP private key"),
    ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: x\n" + "AAAA" * 20 + "\n",
     "SSH2 private key"),
    ("PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\nComment: x\r\n",
     "PuTTY private key"),
    ("# created: 2026\nAGE-SECRET-KEY-1" + "QPZRY9X8GF" * 5 + "QPZRY9X8\n", "private key for age"),
    ("key: |\n" + "".join(f"    {line}\n" for line in RSA.splitlines()), "private key"),
    (json.dumps({"tls": {"key": RSA}}), "private key"),
    ('TLS_KEY="' + RSA.replace("\n", "\\n") + '"\n', "private key"),
    (ssh.pem("", bytes(60)).replace("-----BEGIN", "cert\n-----BEGIN"), "private key"),
])
def test_a_key_is_told_by_content(image, text, kind):
    (finding,) = found(image, {"/srv/acme/data/blob": text})
    assert (finding.status, finding.code) == ("fail", "private-key")
    assert finding.path == "/srv/acme/data/blob"
    assert finding.line == text[:text.index(next(
        mark for mark in ("-----BEGIN", "---- BEGIN", "PuTTY", "AGE-") if mark in text))].count(
        "\n") + 1
    assert kind in finding.message
    assert "AAAAAAAAAA" not in repr(finding)


@pytest.mark.parametrize(("text", "message"), [
    ("\n" + ssh.openssh(), f"from line 2 on: ssh-ed25519 {ssh.ED25519_FINGERPRINT}"),
    (RSA + RSA, "from line 1 on: RSA private key, and 1 more in this file"),
    (ssh.pem("", bytes(60)), "from line 1 on"),
])
def test_the_message_is_a_sentence(image, text, message):
    (finding,) = found(image, {"/srv/x": text})
    assert finding.message == f"/srv/x holds a private key {message}"


def test_the_fingerprint_is_that_of_ssh_keygen(image):
    (finding,) = found(image, {"/opt/x/deploy": ssh.openssh()})
    assert finding.evidence == {"type": "ssh-ed25519", "encrypted": False,
                                "fingerprint": ssh.ED25519_FINGERPRINT}


@pytest.mark.parametrize("path", [
    "/etc/nginx/ssl/site.key", "/etc/ssl/private/acme.key", "/etc/kubernetes/pki/ca.key",
    "/opt/acme/x", "/srv/x", "/var/www/x", "/usr/local/etc/x.pem", "/root/test/x",
    "/home/ann/app/key", "/data/x", "/x.key", "/etc/haproxy/certs/x.pem"])
def test_wherever_a_vendor_puts_it(image, path):
    assert [finding.path for finding in found(image, {path: RSA})] == [path]


@pytest.mark.parametrize("path", [
    "/root/.ssh/id_rsa", "/root/key.pem", "/etc/ssh/ssh_host_rsa_key", "/etc/ssh/x",
    "/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/letsencrypt/archive/x/privkey1.pem",
    "/etc/salt/pki/minion/minion.pem", "/etc/openvpn/server/server.key", "/root/.oci/x.pem"])
def test_what_another_check_tells_is_not_told_twice(image, path):
    assert found(image, {path: RSA}) == []
    others = ("ssh-keys", "ssh-host-keys", "node-identity", "credentials")
    told = []
    for name in others:
        with contextlib.suppress(Skip, Undecided):  # what else is missing is not the question
            told += [one.path for one in check(name, image({path: RSA}))]
    assert path in told


@pytest.mark.parametrize("path", ["/root/.env", "/etc/ssh/keys.json", "/root/.ssh/notes.json"])
def test_a_key_that_no_other_check_can_read_is_told(image, path):
    """Its lines' ends are escaped; /root/.env has a warning of `credentials` already."""
    text = "DB_PASSWORD=s3cr3tw0rd\nKEY='" + RSA.replace("\n", "\\n") + "'\n"
    assert [one.path for one in found(image, {path: text})] == [path]


@pytest.mark.parametrize("text", [
    "-----BEGIN CERTIFICATE-----\n" + "MIIB" * 20 + "\n", "-----BEGIN PUBLIC KEY-----\nMIIB\n",
    "if '-----BEGIN RSA PRIVATE KEY-----' in text:\n    pass\n",
    "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\n<your key here>\n", "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN " + "A " * 5000, "-----BEGIN RSA PRIVATE KEY-----" + "\n" * 5000,
    ssh.ED25519])
def test_what_only_speaks_of_keys(image, text):
    assert found(image, {"/srv/x": text}) == []


@pytest.mark.parametrize("path", [
    "/opt/app/node_modules/lib/test/key.pem", "/opt/go/src/lib/testdata/key.pem",
    "/usr/local/lib/python3.11/test/keycert.pem", "/srv/x/vendor/lib/examples/server.key"])
def test_tests_of_libraries_are_public(image, path):
    assert found(image, {path: RSA}) == []


def test_a_key_that_a_package_brought_is_public(image):
    digest = hashlib.md5(RSA.encode()).hexdigest()
    assert found(image, {"/opt/x/key.pem": RSA, "/var/lib/dpkg/status": dpkg(x="1"),
                         "/var/lib/dpkg/info/x.md5sums": f"{digest}  opt/x/key.pem\n"}) == []


@pytest.mark.parametrize("what", [Fifo(), {}, Link("/nowhere"), Link("x"), ""])
def test_pipes_directories_and_links_hold_none(image, what):
    assert found(image, {"/opt/x": what}) == []
