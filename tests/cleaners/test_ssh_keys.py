import os

import pytest

from img_tools import session
from img_tools.actions import Phase
from img_tools.host import Host
from img_tools.plugins import load
from img_tools.policyfile import Policy
from tests import ssh
from tests.support import FakeRunner, Fifo, Link, carried_out, check, mended_by, plan

PASSWD = ("root:x:0:0::/root:/bin/sh\nmallory:x:1:1::/home/mallory:/bin/sh\n"
          "bob:x:2:2::/srv/bob:/bin/sh\n")
KEY = ssh.ED25519 + "\n"
HASH = "$6$saltsalt$" + "q1W2e3R4" * 10 + "abcdef"
PLUGINS = [plugin for plugin in load("img_tools.cleaners", "plan") if plugin.id == "ssh-keys"]


def test_all_of_ssh_goes_in_every_home(image):
    """Cleanup defect 10: upstream removes authorized_keys of root, and no other file."""
    files = ["/root/.ssh/authorized_keys", "/srv/bob/.ssh/authorized_keys2",
             "/srv/bob/.ssh/id_ed25519", "/srv/bob/.ssh/old/known_hosts", "/srv/bob/.ssh/config",
             "/etc/skel/.ssh/authorized_keys"]
    host = image({"/etc/passwd": PASSWD, **dict.fromkeys(files, KEY)})
    assert carried_out("ssh-keys", host) == sorted(files)
    assert check("ssh-keys", host) == []


def test_where_the_server_looks_for_keys(image):
    host = image({"/etc/passwd": PASSWD, "/etc/ssh/keys/bob": KEY, "/etc/ssh/keys/notes": "",
                  "/etc/ssh/sshd_config": "AuthorizedKeysFile /etc/ssh/keys/%u\n"})
    assert carried_out("ssh-keys", host) == ["/etc/ssh/keys/bob"]


def test_keys_of_an_application_and_what_is_outside_stay(image):
    host = image({
        "/etc/passwd": PASSWD, "/home/mallory/.ssh": Link("/srv/bob/.ssh"),
        "/srv/bob/.ssh/id_rsa": ssh.openssh(), "/srv/bob/app.key": ssh.openssh(),
        "/root/.ssh/etc": Link("/etc"), "/etc/ssh/trusted_user_ca_keys": KEY,
    })
    assert carried_out("ssh-keys", host) == ["/srv/bob/.ssh/id_rsa"]
    left = check("ssh-keys", host)
    assert "/srv/bob/app.key" in {finding.path for finding in left}
    assert {mended_by(finding) for finding in left} == {None}, "no cleaner is named in vain"


@pytest.mark.parametrize("target", ["/etc", "/", "/srv/bob", "/nowhere", ".ssh"])
def test_a_home_whose_ssh_leads_elsewhere_harms_nobody(image, target):
    host = image({"/etc/passwd": PASSWD, "/home/mallory/.ssh": Link(target),
                  "/srv/bob/authorized_keys": KEY, "/etc/ssh/sshd_config": "Port 22\n"})
    assert plan("ssh-keys", host) == []


@pytest.mark.parametrize(("link", "target"), [
    ("/home/mallory/.ssh/authorized_keys", "/etc/passwd"),
    ("/home/mallory/.ssh", "/etc"), ("/home/mallory/.ssh/authorized_keys", "../../bob/keys")])
def test_links_where_the_server_looks_lead_nowhere(image, link, target):
    """`/home/%u/...` names homes, too: whoever owns one would choose what root removes."""
    host = image({"/etc/passwd": PASSWD, "/etc/authorized_keys": "no key\n", link: Link(target),
                  "/home/bob/keys": KEY,
                  "/etc/ssh/sshd_config": "AuthorizedKeysFile /home/%u/.ssh/authorized_keys\n"})
    os.lchown(f"{host.root.top}{link}", 1600, 1600)
    assert plan("ssh-keys", host) == []


def test_only_files_of_accounts_go_where_other_files_lie_too(image):
    """With `/etc/ssh/%u` or `%h/%u` sshd_config is no list of keys, nor is a host key."""
    files = {"/etc/ssh/moduli": "1 2 3\n", "/etc/ssh/bob": KEY, "/etc/ssh/2": KEY,
             "/etc/ssh/ssh_host_ed25519_key.pub": KEY, "/etc/ssh/trusted_user_ca_keys": KEY,
             "/home/mallory/app.conf": "debug yes\n", "/home/mallory/mallory": KEY,
             "/etc/ssh/sshd_config": "AuthorizedKeysFile /etc/ssh/%u /etc/ssh/%U %h/%u\n"}
    host = image({"/etc/passwd": PASSWD, **files})
    told = {finding.path for finding in check("ssh-keys", host)}
    assert carried_out("ssh-keys", host) == ["/etc/ssh/2", "/etc/ssh/bob", "/home/mallory/mallory"]
    assert "/etc/ssh/trusted_user_ca_keys" in told, "a clone may get an account of that name"


def test_a_pipe_goes_unread(image):
    assert carried_out("ssh-keys", image({"/root/.ssh/id_rsa": Fifo()})) == ["/root/.ssh/id_rsa"]


def test_keys_go_when_nothing_but_erasing_is_left_to_do():
    """Pitfall 7: keys removed in the middle of a build lock the rest of it out."""
    assert {phase for phase in Phase if phase > PLUGINS[0].phase} == {Phase.ERASE, Phase.FINAL}


def notes(image, password, **options):
    host = image({"/etc/passwd": "root:x:0:0::/root:/bin/sh\n", "/root/.ssh/authorized_keys": KEY,
                  "/etc/shadow": f"root:{password}:1::::::\n"})
    return list(session.notes(Host(host.root, FakeRunner({}), **options), PLUGINS))


def test_the_plan_warns_that_nobody_will_get_in_again(image):
    """Pitfall 7: a warning beforehand, not afterwards."""
    assert "can log in only with a key that cloud-init" in notes(image, "*")[0]
    assert notes(image, HASH) == []
    assert "can log in only" in notes(image, HASH, policy=Policy(lock_root=True))[0]


def test_on_the_running_system_it_is_whoever_works_there_that_is_warned(image, monkeypatch):
    monkeypatch.setattr(Host, "live", True)
    assert "nobody can log in to this machine" in notes(image, "*")[0]


def test_without_keys_there_is_nothing_to_warn_of(image):
    assert list(session.notes(image(), PLUGINS)) == []
