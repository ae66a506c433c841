"""Cleaners accounts, ssh-keys, ssh-host-keys and do-agent."""

import pytest

from img_tools.actions import Run
from img_tools.model import Undecided
from tests import ssh
from tests.checks.test_ssh_host_keys import CLOUD
from tests.support import Link, carried_out, check, dpkg, plan

PASSWD = ("root:x:0:0::/root:/bin/sh\nmallory:x:1:1::/home/mallory:/bin/sh\n"
          "bob:x:2:2::/srv/bob:/bin/sh\n")
HASH = "$6$saltsalt$" + "q1W2e3R4" * 10 + "abcdef"
KEY = "/etc/ssh/ssh_host_ed25519_key"


def test_copies_with_a_hash_go_and_others_stay(image):
    host = image({"/etc/shadow-": f"root:{HASH}:1:0:9:7:::\n",
                  "/etc/passwd-": "root:x:0:0::/root:/bin/sh\n"})
    assert carried_out("accounts", host) == ["/etc/shadow-"]


def test_keys_of_every_home_go_and_what_is_outside_stays(image):
    host = image({
        "/etc/passwd": PASSWD, "/home/mallory/.ssh": Link("/srv/bob/.ssh"),
        "/srv/bob/.ssh/id_rsa": ssh.openssh(), "/srv/bob/app.key": ssh.openssh(),
        "/root/.ssh/authorized_keys": ssh.ED25519 + "\n", "/root/.ssh/etc": Link("/etc"),
    })
    assert carried_out("ssh-keys", host) == ["/root/.ssh/authorized_keys", "/srv/bob/.ssh/id_rsa"]


def test_host_keys_go_when_cloud_init_makes_new_ones(image):
    assert carried_out("ssh-host-keys", image({**CLOUD, KEY: ssh.openssh()})) == [KEY]
    assert plan("ssh-host-keys", image({})) == []


def test_host_keys_stay_when_nothing_makes_new_ones(image):
    with pytest.raises(Undecided, match="ssh-keygen -A"):
        plan("ssh-host-keys", image({**CLOUD, KEY: ssh.openssh(),
                                     "/etc/cloud/cloud-init.disabled": ""}))


def test_the_agent_is_purged_with_its_files_and_its_account(image):
    host = image({"/var/lib/dpkg/status": dpkg(droplet_agent="1.3"), "/opt/digitalocean/x": "x",
                  "/etc/passwd": PASSWD + "do-agent:x:9:9::/nonexistent:/bin/false\n"})
    purge, remove, userdel = plan("do-agent", host)
    assert isinstance(purge, Run)
    assert purge.argv[-2:] == ("purge", "droplet-agent")
    assert remove.path == "/opt/digitalocean"
    assert userdel.argv == ("userdel", "do-agent")
    assert {finding.code for finding in check("do-agent", host)} == {
        "agent-account", "agent-directory", "agent-package"}
