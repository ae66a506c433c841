import pytest

from img_tools.model import Undecided
from tests import ssh
from tests.checks.test_ssh_host_keys import CLOUD
from tests.support import Fifo, File, Link, carried_out, check, plan

KEY = "/etc/ssh/ssh_host_ed25519_key"


def test_both_halves_go_when_cloud_init_makes_new_ones(image):
    host = image({**CLOUD, KEY: ssh.openssh(), f"{KEY}.pub": ssh.ED25519,
                  "/etc/dropbear/dropbear_rsa_host_key": "x"})
    assert carried_out("ssh-host-keys", host) == [
        "/etc/dropbear/dropbear_rsa_host_key", KEY, f"{KEY}.pub"]
    assert check("ssh-host-keys", host) == []


def test_what_else_has_key_in_its_name_stays(image):
    """Cleanup defect 4: upstream removes /etc/ssh/*key*, and ends at a directory of that name.

    Pitfall 17: revoked_keys must be there where sshd_config names it, or sshd refuses all keys.
    """
    stays = {"/etc/ssh/revoked_keys": "", "/etc/ssh/trusted_user_ca_keys": ssh.ED25519,
             "/etc/ssh/authorized_keys/root": ssh.ED25519, "/etc/ssh/ssh_host_keys/notes": "x"}
    assert carried_out("ssh-host-keys", image({**CLOUD, **stays, KEY: ssh.openssh()})) == [KEY]


@pytest.mark.parametrize("files", [
    {"/etc/cloud/cloud-init.disabled": ""}, {"/usr/bin/cloud-init": None},
    {"/etc/cloud/cloud.cfg": "cloud_init_modules:\n - migrator\n"},
    {"/etc/cloud/cloud.cfg.d/9.cfg": "ssh_genkeytypes: []\n"},
])
def test_they_stay_when_nothing_makes_new_ones(image, files):
    """Pitfall 6: sshd of Debian and Ubuntu makes no keys by itself, and refuses to start."""
    host = image({**CLOUD, KEY: ssh.openssh(), **files})
    with pytest.raises(Undecided, match="ssh-keygen -A"):
        plan("ssh-host-keys", host)


def test_a_unit_that_makes_them_is_enough(image):
    unit = "[Service]\nExecStart=/usr/bin/ssh-keygen -A\n[Install]\nWantedBy=multi-user.target\n"
    host = image({"/etc/ssh/sshd_config": "Port 22\n", KEY: ssh.openssh(),
                  "/etc/systemd/system/keys.service": unit,
                  "/etc/systemd/system/multi-user.target.wants/keys.service":
                  Link("/etc/systemd/system/keys.service")})
    assert carried_out("ssh-host-keys", host) == [KEY]


@pytest.mark.parametrize("files", [
    {"ssh.service.d/x.conf": "# ExecStartPre=/usr/bin/ssh-keygen -A\n[Service]\nNice=1\n"},
    {"ssh.service.d/x.conf": "[Unit]\nDescription=not sshd-keygen\nAfter=sshd-keygen.target\n"},
    {"x.service": "[Unit]\nAfter=sshd-keygen.target\n[Service]\nExecStart=/bin/true\n",
     "multi-user.target.wants/x.service": Link("/etc/systemd/system/x.service")},
    {"../../rc.local": File("#!/bin/sh\n# ssh-keygen -A\nexit 0\n", mode=0o755)},
])
def test_a_comment_or_a_name_makes_no_keys(image, files):
    host = image({"/etc/ssh/sshd_config": "Port 22\n", KEY: ssh.openssh(), "/bin/sh": "x",
                  "/etc/systemd/system": {},
                  **{f"/etc/systemd/system/{name}": what for name, what in files.items()}})
    with pytest.raises(Undecided, match="ssh-keygen -A"):
        plan("ssh-host-keys", host)


def test_without_keys_nothing_is_refused(image):
    assert plan("ssh-host-keys", image({})) == []


@pytest.mark.parametrize("what", [Link("/opt/key"), Fifo(), {}])
def test_links_and_pipes_of_that_name_are_left_to_people(image, what):
    assert plan("ssh-host-keys", image({**CLOUD, KEY: what, "/opt/key": "x"})) == []
