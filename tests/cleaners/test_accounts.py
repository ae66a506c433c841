import pytest

from img_tools.actions import Run, Truncate
from img_tools.host import Host
from img_tools.policyfile import Policy
from tests.checks.test_ssh_host_keys import CLOUD
from tests.support import FakeRunner, Fifo, Link, carried_out, check, mended_by, plan

HASH = "$6$saltsalt$" + "q1W2e3R4" * 10 + "abcdef"
LINE = f"root:{HASH}:1:0:9:7:::\n"
SUDOERS = "/etc/sudoers.d/90-cloud-init-users"
RULE = {"/etc/sudoers": "@includedir /etc/sudoers.d\n",
        SUDOERS: "debian ALL=(ALL) NOPASSWD:ALL\n"}


def test_former_versions_go_with_a_hash_or_without(image):
    """Cleanup defect 17: upstream leaves shadow-, with the hash that was just changed."""
    copies = [f"/etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow", "subuid",
                                           "subgid")]
    host = image({**dict.fromkeys(copies, "root:x:0:0::/root:/bin/sh\n"),
                  "/var/backups/shadow.bak": LINE, "/etc/shadow.dpkg-old": LINE})
    assert len(plan("accounts", host)) == 8, "each once"
    assert carried_out("accounts", host) == sorted(
        [*copies, "/etc/shadow.dpkg-old", "/var/backups/shadow.bak"])


def test_the_files_themselves_and_copies_without_a_hash_stay(image):
    assert plan("accounts", image({
        "/etc/shadow": LINE, "/var/backups/passwd.bak": "root:x:0:0::/root:/bin/sh\n"})) == []


def test_copies_are_removed_and_never_put_back(image):
    """Pitfall 20: rolling passwd- back takes the groups away that were added since."""
    host = image({"/etc/group": "root:x:0:\ndocker:x:99:\n", "/etc/group-": "root:x:0:\n"})
    assert carried_out("accounts", host) == ["/etc/group-"]
    assert "docker" in host.root.read_text("/etc/group")


def test_what_pam_remembers_is_emptied_and_the_file_stays(image):
    path = "/etc/security/opasswd"
    host = image({path: f"root:0:1:{HASH}\n"})
    (action,) = plan("accounts", host)
    assert isinstance(action, Truncate)
    assert mended_by(*check("passwords", host)) == "accounts"
    carried_out("accounts", host)
    assert host.root.stat(path).size == 0


@pytest.mark.parametrize("what", [Link("/etc/shadow"), Link("/etc/shadow-"), Fifo(), {}])
def test_no_copy_of_another_kind_leads_anywhere(image, what):
    host = image({"/etc/shadow": LINE, "/etc/shadow-": what})
    assert plan("accounts", host) == []


def test_sudo_rules_go_when_cloud_init_writes_them_again(image):
    """Cleanup defect 17: upstream leaves 90-cloud-init-users."""
    host = image({**CLOUD, **RULE, "/etc/sudoers.d/acme": "acme ALL=(ALL) NOPASSWD: /bin/true\n"})
    (finding,) = check("accounts", host)
    assert mended_by(finding) == "accounts"
    assert carried_out("accounts", host) == [SUDOERS]
    assert check("accounts", host) == []


@pytest.mark.parametrize("files", [{}, {**CLOUD, "/etc/cloud/cloud-init.disabled": ""}])
def test_sudo_rules_stay_when_nothing_writes_them_again(image, files):
    host = image({**files, **RULE})
    assert plan("accounts", host) == []
    (finding,) = check("accounts", host)
    assert finding.remediation == f"rm {SUDOERS}"


def locking(image, password):
    host = image({"/etc/shadow": f"root:{password}:1:0:9:7:::\nann:{HASH}:1::::::\n"})
    return Host(host.root, FakeRunner({}), policy=Policy(lock_root=True))


@pytest.mark.parametrize("password", [HASH, f"!{HASH}", ""])
def test_root_is_locked_when_the_policy_says_so_and_root_alone(image, password):
    """Cleanup defect 11: upstream leaves root's password.

    Pitfall 16: `passwd -d` would leave an empty field; an unanchored sed would lock others.
    """
    (action,) = plan("accounts", locking(image, password))
    assert isinstance(action, Run)
    assert action.argv == ("usermod", "-p", "*", "root")


@pytest.mark.parametrize("password", ["*", "!", "!*"])
def test_who_has_no_password_needs_no_lock(image, password):
    assert plan("accounts", locking(image, password)) == []


def test_without_such_a_policy_passwords_are_left_to_people(image):
    assert plan("accounts", image({"/etc/shadow": LINE})) == []
