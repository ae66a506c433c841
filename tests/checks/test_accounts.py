import pytest

from img_tools.model import Undecided
from tests import ssh
from tests.support import Fifo, check, codes

PASSWD = "root:x:0:0:root:/root:/bin/bash\n"
CLOUD_CFG = "users:\n   - default\nsystem_info:\n   default_user:\n     name: debian\n"


def test_clean_image(image):
    assert check("accounts", image()) == []


def test_uid_zero_twin(image):
    """Defect 41: upstream never looks for a second account with uid 0."""
    (finding, *_) = check("accounts", image({"/etc/passwd": PASSWD + "toor:x:0:0::/:/bin/sh\n"}))
    assert (finding.status, finding.code, finding.account) == ("fail", "uid-zero-twin", "toor")


@pytest.mark.parametrize("uid", ["0", "00", " 0", "+0", "-0"])
def test_uid_zero_however_it_is_written(image, uid):
    """glibc reads the number with strtoul(3)."""
    host = image({"/etc/passwd": f"{PASSWD}toor:x:{uid}:5::/:/usr/sbin/nologin\n"})
    assert codes(check("accounts", host)) == [("fail", "uid-zero-twin")]


def test_duplicate_names_and_uids(image):
    host = image({"/etc/passwd": PASSWD + "a:x:5:5::/:/usr/sbin/nologin\n"
                  "b:x:5:5::/:/usr/sbin/nologin\nc:x:6:6::/:/usr/sbin/nologin\n"
                  "c:x:7:7::/:/usr/sbin/nologin\nroot:x:0:0::/:/bin/sh\n"})
    findings = check("accounts", host)
    assert sorted((item.code, item.account, item.line) for item in findings) == [
        ("duplicate-name", "c", 4), ("duplicate-name", "c", 5), ("duplicate-name", "root", 1),
        ("duplicate-name", "root", 6), ("duplicate-uid", "a", 2), ("duplicate-uid", "b", 3)]


def test_nis_line(image):
    host = image({"/etc/passwd": PASSWD + "+::::::\n-bad\n",
                  "/etc/shadow": "root:*:::::::\n+::::::::\n"})
    findings = check("accounts", host)
    assert [(item.code, item.path, item.line) for item in findings] == [
        ("nis-entry", "/etc/shadow", 2), ("nis-entry", "/etc/passwd", 2)]


@pytest.mark.parametrize("line", [
    "nobody:x:65534:65534::/:/bin/sh", "svc:x:999:999::/:/bin/bash",
    "app:x:1000:1000::/srv/app:/usr/sbin/nologin", "debian:x:1000:1000::/home/debian:/bin/bash",
    "systemd-x:x:61184:61184::/:/bin/sh",
])
def test_not_a_person(image, line):
    host = image({"/etc/passwd": f"{PASSWD}{line}\n", "/etc/cloud/cloud.cfg": CLOUD_CFG})
    assert check("accounts", host) == []


@pytest.mark.parametrize("name", ["centos", "jane"])
def test_person(image, name):
    """Defect 4: upstream exempts a user called "centos" from everything."""
    host = image({"/etc/passwd": f"{PASSWD}{name}:x:1000:1000::/home/{name}:/bin/bash\n",
                  "/etc/cloud/cloud.cfg": CLOUD_CFG})
    assert codes(check("accounts", host)) == [("warn", "person")]


def sudo(image, text, **more):
    files = {"/etc/sudoers": text, "/etc/cloud/cloud.cfg": CLOUD_CFG, **more}
    return [(item.account, item.path, item.line) for item in check("accounts", image(files))]


@pytest.mark.parametrize("rule", [
    "deploy ALL=(ALL) NOPASSWD:ALL", "deploy ALL=(ALL:ALL) NOPASSWD: ALL",
    "deploy ALL = NOPASSWD : ALL", "deploy ALL=(root) NOPASSWD: SETENV: ALL",
    "deploy ALL=(ALL) NOPASSWD: /bin/ls, ALL", "deploy ALL=NOPASSWD:\\\n   ALL",
    "deploy web1, web2 = (ALL) NOPASSWD: ALL # comment",
    "Cmnd_Alias EVERY = ALL\ndeploy ALL=(ALL) NOPASSWD: EVERY",
    "Cmnd_Alias ONE = /bin/ls : TWO = ONE, ALL\ndeploy ALL=(ALL) NOPASSWD: TWO",
    "User_Alias OPS = deploy\nOPS ALL=(ALL) NOPASSWD: ALL",
    "Defaults:deploy !authenticate", 'Defaults:deploy env_reset, ! authenticate',
    "deploy ALL = /bin/ls : web2 = NOPASSWD: ALL",
])
def test_all_commands_without_a_password(image, rule):
    """Defect 41: upstream never looks at sudoers."""
    assert [who for who, _, _ in sudo(image, rule + "\n")] == ["deploy"]


@pytest.mark.parametrize("rule", [
    "root ALL=(ALL:ALL) NOPASSWD: ALL", "%sudo ALL=(ALL:ALL) ALL", "debian ALL=(ALL) NOPASSWD:ALL",
    "www-data ALL=(root) NOPASSWD: /usr/bin/systemctl restart app",
    "app ALL=(root) NOPASSWD: /usr/bin/x --all=ALL, /usr/bin/y ALL, PASSWD: ALL",
    "Defaults env_reset\nDefaults !requiretty", "Cmnd_Alias EVERY = ALL\n", "=\n", "x\n",
    "# deploy ALL=(ALL) NOPASSWD:ALL", "app ALL=(root) NOPASSWD: !ALL",
    "Cmnd_Alias A = B\nCmnd_Alias B = A\napp ALL=NOPASSWD: A",
])
def test_harmless_rules(image, rule):
    assert sudo(image, rule + "\n") == []


def test_groups_and_everybody(image):
    found = sudo(image, "%wheel ALL=(ALL) NOPASSWD: ALL\nDefaults !authenticate\n"
                        "#1000 ALL=NOPASSWD:ALL\n")
    assert [who for who, _, _ in found] == ["%wheel", "ALL", "#1000"]


def test_includes(image):
    rule = "{} ALL=(ALL) NOPASSWD:ALL\n".format
    found = sudo(image, "#includedir /etc/sudoers.d\n@include sudoers.local\n@include /gone\n",
                 **{"/etc/sudoers.d/10-a": "\n" + rule("a"), "/etc/sudoers.d/b.dpkg-old": rule("b"),
                    "/etc/sudoers.d/c~": rule("c"), "/etc/sudoers.local": rule("d")})
    assert found == [("a", "/etc/sudoers.d/10-a", 2), ("d", "/etc/sudoers.local", 1)]


def test_what_cloud_init_left(image):
    path = "/etc/sudoers.d/90-cloud-init-users"
    (finding,) = check("accounts", image({
        "/etc/sudoers": "@includedir /etc/sudoers.d\n", "/etc/cloud/cloud.cfg": CLOUD_CFG,
        path: "# User rules for root\nroot ALL=(ALL) NOPASSWD:ALL\n"
              "# User rules for debian\ndebian ALL=(ALL) NOPASSWD:ALL\n"}))
    assert (finding.status, finding.code, finding.line) == ("warn", "sudo-nopasswd", 4)
    assert finding.remediation == f"rm {path}"  # nothing would write it again


@pytest.mark.parametrize("files", [
    {"/etc/sudoers": "@include /etc/sudoers\n"},
    {"/etc/sudoers": "@include /etc/a\n@include /etc/a\n",
     "/etc/a": "@include /etc/sudoers\n@include /etc/sudoers\n"},
    {"/etc/sudoers": Fifo()},
])
def test_endless_or_unreadable_is_undecided(image, files):
    with pytest.raises(Undecided):
        check("accounts", image(files))


def test_unclear_cloud_init_is_no_crash(image):
    host = image({"/etc/cloud/cloud.cfg": "{{{ not yaml",
                  "/etc/passwd": PASSWD + "jane:x:1000:1000::/home/jane:/bin/bash\n"})
    assert codes(check("accounts", host)) == [("warn", "person")]


def test_home_of_an_account_that_is_gone(image):
    host = image({"/home/ghost/.ssh/id_ed25519": ssh.openssh(), "/home/empty": {}})
    [found] = check("accounts", host)
    assert (found.status, found.code, found.path) == ("warn", "deserted-home", "/home/ghost")
    assert ("fail", "private-key") in codes(check("ssh-keys", host))
