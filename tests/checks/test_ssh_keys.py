import os

import pytest

from img_tools import ssh_store
from img_tools.checking import evaluate
from img_tools.model import Status, Undecided
from img_tools.plugins import load
from tests import ssh
from tests.conftest import BASE
from tests.support import Fifo, File, Link, check, codes, mended_by

KEY = ssh.ED25519 + " me@example.org\n"


def keys(image, files):
    return check("ssh-keys", image(files))


def places(findings):
    return [(finding.status.value, finding.code, finding.path) for finding in findings]


def verdict(host):
    plugin = next(p for p in load("img_tools.checks", "check") if p.id == "ssh-keys")
    return evaluate(host, plugin)


def passwd(*lines):
    return {"/etc/passwd": str(BASE["/etc/passwd"]) + "".join(f"{line}\n" for line in lines)}


def test_an_image_without_keys_passes(image):
    assert keys(image, {"/root/.bashrc": "x", "/root/.ssh": {}}) == []


def test_a_key_to_log_in_with_is_named_by_its_fingerprint(image):
    """Issues 10 and 12: say which key it is. A fingerprint does, without the key."""
    [found] = keys(image, {"/root/.ssh/authorized_keys": f"# mine\n\n{KEY}"})
    assert codes([found]) == [("fail", "authorized-key")]
    assert (found.path, found.line, found.account) == ("/root/.ssh/authorized_keys", 3, "root")
    assert found.evidence == {"type": "ssh-ed25519", "fingerprint": ssh.ED25519_FINGERPRINT}
    assert ssh.ED25519_FINGERPRINT in found.message


def test_no_content_is_shown(image):
    """Defect 33: upstream prints authorized_keys and the private key itself into the build log."""
    files = {"/root/.ssh/authorized_keys": KEY + "rubbish secret-word\n",
             "/root/.ssh/id_ed25519": ssh.openssh(), "/root/.ssh/odd": "secret-word",
             "/root/.ssh/id_ed25519.pub": ssh.ECDSA + " me@example.org"}
    text = repr(keys(image, files))
    for secret in ("secret-word", "me@example.org", ssh.ED25519.split()[1], "PRIVATE KEY-----"):
        assert secret not in text


def test_keys_of_another_account_are_found(image):
    """Defect 2: upstream quotes a glob, so no account but root was ever looked at."""
    found = keys(image, {**passwd("bob:x:1000:1000::/home/bob:/bin/bash"),
                         "/home/bob/.ssh/authorized_keys": KEY,
                         "/home/bob/.ssh/id_ed25519": ssh.openssh()})
    assert places(found) == [("fail", "authorized-key", "/home/bob/.ssh/authorized_keys"),
                             ("fail", "private-key", "/home/bob/.ssh/id_ed25519")]
    assert {finding.account for finding in found} == {"bob"}


def test_the_home_is_the_one_in_passwd(image):
    """Defect 3: upstream looks into /home/NAME and not at the home that passwd states."""
    found = keys(image, {**passwd("app:x:999:999::/srv/app:/bin/sh"),
                         "/srv/app/.ssh/authorized_keys": KEY})
    assert places(found) == [("fail", "authorized-key", "/srv/app/.ssh/authorized_keys")]


def test_what_every_new_account_gets(image):
    [found] = keys(image, {"/etc/skel/.ssh/authorized_keys": KEY})
    assert "every new account" in found.message


@pytest.mark.parametrize("name", [
    "id_ed25519", "id_rsa", "deploy", "old/work/.hidden", "backup.tar.d/key", "config",
    "known_hosts", "authorized_keys", "key.pub",
])
def test_a_private_key_is_one_under_any_name(image, name):
    """Defect 16: upstream knows private keys by the name id_rsa alone, whatever it holds."""
    found = keys(image, {f"/root/.ssh/{name}": ssh.openssh()})
    assert places(found) == [("fail", "private-key", f"/root/.ssh/{name}")]
    assert found[0].evidence == {"type": "ssh-ed25519", "encrypted": False,
                                 "fingerprint": ssh.ED25519_FINGERPRINT}


def test_an_encrypted_private_key_fails_too(image):
    [found] = keys(image, {"/root/.ssh/k": ssh.pem("ENCRYPTED", bytes(60))})
    assert codes([found]) == [("fail", "private-key")]
    assert found.evidence == {"type": "private key", "encrypted": True}


def test_a_name_without_a_key_is_no_private_key(image):
    """Defect 16: a file called id_rsa fails upstream whatever it holds."""
    found = keys(image, {"/root/.ssh/id_rsa": "see the vault\n"})
    assert places(found) == [("warn", "other-file", "/root/.ssh/id_rsa")]


def test_authorized_keys2_counts(image):
    """Defect 16: upstream only warns of authorized_keys2, which sshd reads as well."""
    found = keys(image, {"/root/.ssh/authorized_keys2": KEY})
    assert places(found) == [("fail", "authorized-key", "/root/.ssh/authorized_keys2")]


@pytest.mark.parametrize(("setting", "path"), [
    ("AuthorizedKeysFile /etc/ssh/authorized_keys/%u", "/etc/ssh/authorized_keys/root"),
    ("AuthorizedKeysFile .ssh/authorized_keys %h/.keys/login", "/root/.keys/login"),
    ("AuthorizedKeysFile .keys-%u", "/root/.keys-root"),
    ('AuthorizedKeysFile "/etc/ssh/keys/%u/a b"', "/etc/ssh/keys/root/a b"),
    ("AuthorizedKeysFile /etc/100%%/%U", "/etc/100%/0"),
    ("AuthorizedKeysFile /etc/ssh/everyone", "/etc/ssh/everyone"),
    ("Match User bob\nAuthorizedKeysFile /etc/ssh/keys/%u", "/etc/ssh/keys/bob"),
    ("Include x.conf", "/var/keys/root"),
])
def test_keys_wherever_the_server_looks_for_them(image, setting, path):
    """Defect 16: keys where AuthorizedKeysFile points are never seen upstream."""
    found = keys(image, {"/etc/ssh/sshd_config": f"{setting}\n", path: KEY,
                         "/etc/ssh/x.conf": "AuthorizedKeysFile /var/keys/%u\n"})
    assert places(found) == [("fail", "authorized-key", path)]


def test_a_key_that_only_a_name_leads_to_belongs_to_that_account(image):
    [found] = keys(image, {"/etc/ssh/sshd_config": "AuthorizedKeysFile /etc/ssh/keys/%u\n",
                           "/etc/ssh/keys/bob": KEY})
    assert found.account == "bob"


def test_none_is_no_path(image):
    files = {"/etc/ssh/sshd_config": "AuthorizedKeysFile none\nAuthorizedKeysCommand none\n"
                                     "TrustedUserCAKeys none\n", "/root/none": KEY}
    assert keys(image, files) == []


def test_any_size_counts(image):
    """Defect 17: upstream passes authorized_keys and known_hosts of up to 50 bytes."""
    blob = ssh.string(b"ssh-x") + ssh.string(b"1234567890")
    line = f"ssh-x {ssh.base64.b64encode(blob).decode()}\n"
    assert len(line) < 50
    found = keys(image, {"/root/.ssh/authorized_keys": line, "/root/.ssh/known_hosts": "h k v\n"})
    assert codes(found) == [("fail", "authorized-key"), ("warn", "known-hosts")]


@pytest.mark.parametrize("content", ["", "\n\n", "# a comment\n", f"#{KEY}", "   # x\n \t\n"])
def test_authorized_keys_without_keys_pass(image, content):
    assert keys(image, {"/root/.ssh/authorized_keys": content}) == []


def test_an_empty_key_file_is_a_warning(image):
    """Issue 49: an empty key file holds no key, and is no failure."""
    found = keys(image, {"/root/.ssh/id_rsa": "", "/root/.ssh/known_hosts": ""})
    assert places(found) == [("warn", "empty-key-file", "/root/.ssh/id_rsa")]


def test_the_key_of_the_session_counts_and_goes_last(image):
    """Defect 31 (issue 43): Packer's own key fails; it goes as the last step."""
    [found] = keys(image, {"/root/.ssh/authorized_keys": KEY})
    assert found.remediation is not None
    assert "last of all" in found.remediation


@pytest.mark.parametrize(("name", "content", "code"), [
    ("known_hosts", "h ssh-rsa AAAA\n", "known-hosts"), ("known_hosts.old", "h\n", "known-hosts"),
    ("config", "Host x\n", "ssh-settings"), ("environment", "A=1\n", "ssh-settings"),
    ("rc", "echo\n", "ssh-settings"), ("id_ed25519.pub", KEY, "public-key"),
    ("id_ed25519-cert.pub", ssh.certificate(), "certificate"), ("notes", "x\n", "other-file"),
    ("authorized_keys", "ssh-rsa AAAAB3 cut\n", "authorized-line"),
    ("authorized_keys.bak", KEY, "public-key"), ("agent", Fifo(), "other-file"),
])
def test_other_files_are_warnings(image, name, content, code):
    found = keys(image, {f"/root/.ssh/{name}": content})
    assert places(found) == [("warn", code, f"/root/.ssh/{name}")]


def test_a_private_key_in_the_top_of_the_home(image):
    found = keys(image, {"/root/deploy.pem": ssh.pem("RSA", bytes(60)),
                         "/root/readme": "-----BEGIN RSA PRIVATE KEY-----\n...\n",
                         "/root/app/key.pem": ssh.pem("RSA", bytes(60))})
    assert places(found) == [("fail", "private-key", "/root/deploy.pem")]
    assert found[0].remediation is not None
    assert found[0].remediation.startswith("rm /root/deploy.pem")


@pytest.mark.parametrize("keyword", ["AuthorizedKeysCommand", "TrustedUserCAKeys"])
def test_who_the_server_trusts_besides(image, keyword):
    config = f"UsePAM yes\nMatch User root\n{keyword} /etc/ssh/x\n"
    [found] = keys(image, {"/etc/ssh/sshd_config": config})
    assert codes([found]) == [("warn", keyword.lower())]
    assert found.line == 3


def test_a_link_out_of_the_home_is_followed_and_named(image):
    [found] = keys(image, {"/root/.ssh": Link("/srv/ssh"), "/srv/ssh/authorized_keys": KEY})
    assert places([found]) == [("fail", "authorized-key", "/root/.ssh/authorized_keys")]
    assert "(a link to /srv/ssh/authorized_keys)" in found.message
    assert found.remediation is not None
    assert "by hand" in found.remediation


def test_links_within_a_directory(image):
    found = keys(image, {"/root/.ssh/more": Link("../keys"), "/root/keys/k": ssh.openssh(),
                         "/root/.ssh/file": Link("/opt/k"), "/opt/k": ssh.openssh(ssh.ECDSA)})
    assert places(found) == [("fail", "private-key", "/root/.ssh/more/k"),
                             ("fail", "private-key", "/root/.ssh/file")]


def test_a_link_to_anothers_directory_hides_nothing_of_it(image):
    """The key is bob's to be cleaned, whoever else leads there, and whoever comes first."""
    (found,) = keys(image, {
        **passwd("alice:x:1000:1000::/home/alice:/bin/sh", "bob:x:1001:1001::/home/bob:/bin/sh"),
        "/home/alice/.ssh": Link("/home/bob/.ssh"), "/home/bob/.ssh/id_rsa": ssh.openssh()})
    assert (found.account, found.path) == ("bob", "/home/bob/.ssh/id_rsa")
    assert mended_by(found) == "ssh-keys"


def test_links_stay_in_the_image(image, tmp_path):
    (tmp_path / "authorized_keys").write_text(KEY)
    assert keys(image, {"/root/.ssh": Link(str(tmp_path))}) == []


@pytest.mark.parametrize("files", [
    {"/root/.ssh": Link(".ssh")}, {"/root/.ssh/authorized_keys": Link("authorized_keys")},
    {"/root/.ssh/authorized_keys": Link("/dev/null"), "/dev/null": Fifo()},
    {"/root/.ssh/authorized_keys": Link("/nothing")}, {"/root/.ssh/d": Link("/root/.ssh")},
])
def test_links_that_hold_nothing(image, files):
    assert keys(image, files) == []


def test_a_file_or_a_fifo_in_place_of_the_directory(image):
    assert codes(keys(image, {"/root/.ssh": ssh.openssh()})) == [("fail", "private-key")]


def test_a_fifo_in_place_of_the_directory(image):
    assert codes(keys(image, {"/root/.ssh": Fifo()})) == [("warn", "other-file")]


def test_two_accounts_with_one_home_are_told_of_once(image):
    found = keys(image, {**passwd("toor:x:0:0::/root:/bin/sh"), "/root/.ssh/authorized_keys": KEY})
    assert len(found) == 1


@pytest.mark.parametrize("content", [b"\0\xff" * 5000, b"\xff\n" * 5000, b"x" * 1_000_000])
def test_what_is_no_text_is_one_warning(image, content):
    found = keys(image, {"/root/.ssh/authorized_keys": content})
    assert codes(found) == [("warn", "authorized-line")]


def test_a_name_that_is_not_utf8(image):
    path = os.fsdecode(b"/root/.ssh/\xff\x1b[2J")
    assert places(keys(image, {path: ssh.openssh()})) == [("fail", "private-key", path)]


def test_a_huge_key_file_is_bounded(image):
    result = verdict(image({"/root/.ssh/authorized_keys": File(size=1 << 30)}))
    assert result.status is Status.ERROR
    assert "was not read" in result.message


def test_a_huge_file_whose_beginning_holds_a_key_fails(image):
    result = verdict(image({"/root/.ssh/authorized_keys": File(KEY, size=1 << 30)}))
    assert result.status is Status.FAIL


def test_many_files_are_counted_and_not_all_read(image, monkeypatch):
    monkeypatch.setattr(ssh_store, "MAX_FILES", 100)
    host = image({f"/root/.ssh/k{number}": "x" for number in range(120)})
    result = verdict(host)
    assert (result.status, len(result.findings)) == (Status.ERROR, 51)
    assert "over 100 files" in result.message


def test_many_keys_are_counted(image):
    found = keys(image, {"/root/.ssh/authorized_keys": KEY * 1000})
    assert len(found) == 51
    assert found[-1].evidence == {"count": 1000}


def test_a_configuration_that_cannot_be_read_hides_no_key(image):
    files = {"/etc/ssh/sshd_config": Fifo(), "/root/.ssh/authorized_keys": KEY}
    result = verdict(image(files))
    assert (result.status, result.findings[0].code) == (Status.FAIL, "authorized-key")
    with pytest.raises(Undecided):
        keys(image, {"/root/.ssh/authorized_keys": ""})


def test_an_unreadable_home_hides_no_other(image):
    deep = "/root/.ssh" + "/d" * 250
    result = verdict(image({**passwd("bob:x:1:1::/home/bob:"), deep: {},
                            "/home/bob/.ssh/authorized_keys": KEY}))
    assert result.status is Status.FAIL
    assert "deep" in result.message


def test_without_a_server_the_homes_are_looked_at(image):
    assert codes(keys(image, {"/root/.ssh/authorized_keys": KEY})) == [("fail", "authorized-key")]


def test_walks_side_by_side_hide_nothing_from_each_other(image):
    """`private-keys` walks the same store in another thread: what one met, the other passed by."""
    host = image({"/root/.ssh/authorized_keys": KEY, "/root/.ssh/id_ed25519": ssh.openssh()})
    first = iter(host.ssh_store)
    met = [next(first)]
    second = [*host.ssh_store]
    assert [item.kind for item in second] == ["authorized-key", "private-key"]
    assert [*met, *first] == second
