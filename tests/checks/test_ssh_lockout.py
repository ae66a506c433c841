import pytest

from img_tools.model import Skip, Undecided
from tests.support import File, Link, check, codes

# StrictModes would look at who owns the home, which is whoever runs the tests.
CONFIG = "UsePAM yes\nStrictModes no\n"
SYSTEM = {"/etc/ssh/sshd_config": CONFIG, "/bin/bash": File("x", 0o755),
          "/etc/group": "root:x:0:\nstaff:x:50:root\n"}
LOCK = 'Match User root\n    ForceCommand echo "Please wait until the setup is done"\n'
ONBOOT = "/var/lib/cloud/scripts/per-instance/001_onboot"
LIFT = ("#!/bin/bash\nsed -i -e '/Match User root/d' -e '/.*ForceCommand.*/d' "
        "/etc/ssh/sshd_config\nsystemctl restart ssh\n")
DEBIAN = ("users:\n - default\ndisable_root: true\nsystem_info:\n default_user:\n  name: debian\n"
          "  groups: [adm, sudo]\n  sudo: [\"ALL=(ALL) NOPASSWD:ALL\"]\n")


def lockout(image, config="", files=None):
    return check("ssh-lockout", image({
        **SYSTEM, "/etc/ssh/sshd_config": CONFIG + config, **(files or {})}))


def places(findings):
    return [(finding.status.value, finding.code, finding.path) for finding in findings]


def test_the_distribution_as_it_comes_passes(image):
    assert lockout(image) == []


def test_no_server_no_verdict(image):
    with pytest.raises(Skip):
        check("ssh-lockout", image())


def test_a_lock_that_nothing_lifts(image):
    """Row B12: upstream never looks whether a ForceCommand lock is taken away at first boot."""
    [found] = lockout(image, LOCK)
    assert codes([found]) == [("fail", "force-command")]
    assert (found.path, found.line) == ("/etc/ssh/sshd_config", 4)
    assert "setup is done" not in found.message


def test_a_lock_that_an_executable_script_lifts(image):
    assert lockout(image, LOCK, {ONBOOT: File(LIFT, 0o755)}) == []


def test_a_script_that_is_not_executable_lifts_nothing(image):
    """cloud-init passes over it in silence."""
    [found] = lockout(image, LOCK, {ONBOOT: File(LIFT, 0o644)})
    assert codes([found]) == [("fail", "force-command")]
    assert found.evidence == {"script": ONBOOT}
    assert found.remediation == f"chmod 755 {ONBOOT}"


@pytest.mark.parametrize("script", [
    LIFT.replace("/bin/bash", "/bin/zsh"), LIFT.replace("\n", "\r\n"),
    LIFT.replace("#!/bin/bash", ""),
    "#!/bin/bash\n# sshd_config: remove ForceCommand\n", "#!/bin/bash\ntouch /root/done\n", "",
])
def test_a_script_that_cannot_run_or_does_not_speak_of_it(image, script):
    assert codes(lockout(image, LOCK, {ONBOOT: File(script, 0o755)})) == [
        ("fail", "force-command")]


def test_a_script_that_changes_the_file_and_names_nothing(image):
    script = File("#!/bin/bash\ncp /opt/sshd_config /etc/ssh/sshd_config\n", 0o755)
    [found] = lockout(image, LOCK, {ONBOOT: script})
    assert codes([found]) == [("warn", "force-command")]
    assert found.evidence == {"script": ONBOOT}


@pytest.mark.parametrize("files", [
    {ONBOOT: File("#!/bin/bash\n/opt/app/setup.sh\n", 0o755), "/opt/app/setup.sh": LIFT},
    {ONBOOT: File("#!/bin/bash\nbash /opt/a.sh\n", 0o755), "/opt/a.sh": ". /opt/b.sh\n",
     "/opt/b.sh": LIFT},
    {ONBOOT.replace("per-instance", "per-boot"): File(LIFT, 0o755)},
    {"/etc/rc.local": File(LIFT, 0o755)},
    {"/etc/cloud/cloud.cfg.d/x.cfg": "runcmd:\n - sed -i /ForceCommand/d /etc/ssh/sshd_config\n"},
    {"/etc/systemd/system/first.service": "[Service]\nExecStart=/opt/first\n", "/opt/first": LIFT,
     "/etc/systemd/system/multi-user.target.wants/first.service": Link("../first.service")},
])
def test_other_ways_to_lift_it(image, files):
    assert lockout(image, LOCK, files) == []


@pytest.mark.parametrize("files", [
    {"/opt/app/setup.sh": LIFT},
    {"/etc/rc.local": File(LIFT, 0o644)},
    {"/etc/systemd/system/first.service": "[Service]\nExecStart=/opt/first\n", "/opt/first": LIFT},
    {ONBOOT: File("#!/bin/bash\n/opt/app/setup.sh\n", 0o644), "/opt/app/setup.sh": LIFT},
])
def test_what_nobody_starts_lifts_nothing(image, files):
    assert codes(lockout(image, LOCK, files)) == [("fail", "force-command")]


def test_scripts_that_name_each_other(image):
    files = {ONBOOT: File("#!/bin/bash\n/opt/a\n", 0o755), "/opt/a": "/opt/b\n",
             "/opt/b": "/opt/a\n"}
    assert codes(lockout(image, LOCK, files)) == [("fail", "force-command")]


def test_a_program_cannot_be_read(image):
    with pytest.raises(Undecided, match="001_onboot"):
        lockout(image, LOCK, {ONBOOT: File(b"\x7fELF\0\0", 0o755)})


def test_a_lock_in_a_drop_in_is_lifted_by_removing_that(image):
    files = {"/etc/ssh/sshd_config": CONFIG + "Include sshd_config.d/*.conf\n",
             "/etc/ssh/sshd_config.d/99-wait.conf": LOCK,
             ONBOOT: File("#!/bin/bash\nrm /etc/ssh/sshd_config.d/99-wait.conf\n", 0o755)}
    assert check("ssh-lockout", image({**SYSTEM, **files})) == []


@pytest.mark.parametrize("config", [
    "Match Group sftp\nForceCommand internal-sftp\nChrootDirectory /srv\n",
    "Match User bob\nForceCommand echo no\n", "ForceCommand none\n",
    "Match User root Group nosuch\nForceCommand echo no\n",
    "AllowUsers root bob\n", "AllowUsers ro*\n", "AllowUsers *@*\n", "AllowGroups staff\n",
    "DenyUsers bob\n", "DenyUsers root@10.0.0.1\n", "DenyGroups adm\n",
    "PermitRootLogin yes\n", "PermitRootLogin prohibit-password\n",
    "Match Address 10.0.0.0/8\nPasswordAuthentication yes\n", "Port 22\nPort 2222\n",
    "ListenAddress 0.0.0.0\n", "ListenAddress 10.0.0.5\nListenAddress 0.0.0.0:22\n",
    "AuthorizedKeysFile /etc/ssh/keys/%u\n", "AddressFamily inet\n",
    "RevokedKeys none\n", "RevokedKeys /etc/group\n",
])
def test_what_keeps_nobody_out(image, config):
    assert lockout(image, config) == []


@pytest.mark.parametrize(("config", "code"), [
    ("PermitRootLogin no\n", "permit-root-login"),
    ("PermitRootLogin forced-commands-only\n", "permit-root-login"),
    ("Match all\nPermitRootLogin no\n", "permit-root-login"),
    ("AllowUsers bob\n", "not-allowed"), ("AllowUsers root@10.0.0.5\n", "not-allowed"),
    ("AllowGroups ssh-users\n", "not-allowed"), ("DenyUsers root\n", "denied"),
    ("DenyUsers *\n", "denied"), ("DenyGroups staff\n", "denied"),
    ("ForceCommand echo no\n", "force-command"),
    ("Match Group root\nForceCommand /usr/sbin/nologin\n", "force-command"),
    ('ForceCommand /bin/sh -c "echo wait"\n', "force-command"),
    ("ForceCommand /opt/not-there\n", "force-command"),
    ("PubkeyAuthentication no\nPasswordAuthentication no\n", "no-public-keys"),
    ("AuthorizedKeysFile none\n", "no-authorized-keys"),
    ("RefuseConnection yes\n", "refuse-connection"),
    ("RevokedKeys /etc/ssh/revoked_keys\n", "revoked-keys"),
    ("ListenAddress 10.0.0.5\n", "listen-address"), ("ListenAddress 127.0.0.1:22\n",
                                                     "listen-address"),
    ("ListenAddress ::\n", "listen-address"), ("ListenAddress [2001:db8::1]:22\n",
                                               "listen-address"),
    ("AddressFamily inet6\n", "ipv6-only"),
])
def test_what_keeps_the_owner_out(image, config, code):
    assert codes(lockout(image, config)) == [("fail", code)]


@pytest.mark.parametrize(("config", "code"), [
    ("Match Address 203.0.113.0/24\nForceCommand echo no\n", "force-command"),
    ("ForceCommand /bin/bash\n", "force-command"),
    ("PubkeyAuthentication no\n", "no-public-keys"), ("Port 2222\n", "port"),
])
def test_what_may_keep_the_owner_out(image, config, code):
    assert codes(lockout(image, config)) == [("warn", code)]


@pytest.mark.parametrize("config", [
    "PermitRootLogin no\n", "AllowUsers debian\n", "AllowGroups sudo\n", "DenyUsers root\n",
])
def test_the_default_user_is_a_way_in_as_well(image, config):
    assert lockout(image, config, {"/etc/cloud/cloud.cfg": DEBIAN}) == []


@pytest.mark.parametrize("cloud", [
    DEBIAN.replace(" - default", " - other"), DEBIAN.replace("name: debian", "gecos: debian"),
    DEBIAN.replace("[adm, sudo]", "[adm]").partition("  sudo:")[0], "disable_root: true\n",
])
def test_a_user_that_is_not_made_or_not_root_is_no_way_in(image, cloud):
    found = lockout(image, "PermitRootLogin no\n", {"/etc/cloud/cloud.cfg": cloud})
    assert codes(found) == [("fail", "permit-root-login")]


def test_a_forced_command_of_root_counts_in_spite_of_a_default_user(image):
    """It is a lock that somebody meant to lift, and root is who a Droplet's owner logs in as."""
    found = lockout(image, LOCK, {"/etc/cloud/cloud.cfg": DEBIAN})
    assert codes(found) == [("fail", "force-command")]


def test_both_are_kept_out(image):
    found = lockout(image, "AllowUsers bob\n", {"/etc/cloud/cloud.cfg": DEBIAN})
    assert codes(found) == [("fail", "not-allowed"), ("fail", "not-allowed")]


def test_nologin_lets_root_in(image):
    """pam_nologin(8) does."""
    assert places(lockout(image, "", {"/etc/nologin": ""})) == [("warn", "nologin", "/etc/nologin")]


def test_nologin_where_root_may_not_log_in(image):
    found = lockout(image, "PermitRootLogin no\n",
                    {"/etc/nologin": "", "/etc/cloud/cloud.cfg": DEBIAN})
    assert codes(found) == [("fail", "permit-root-login"), ("fail", "nologin")]


def passwd(shell):
    return {"/etc/passwd": f"root:x:0:0:root:/root:{shell}\n"}


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "/bin/zsh"])
def test_a_shell_that_ends_or_is_not_there(image, shell):
    assert codes(lockout(image, "", passwd(shell))) == [("fail", "shell")]


def test_a_locked_account_without_pam(image):
    shadow = {"/etc/shadow": "root:!:1::::::\n"}
    without = {"/etc/ssh/sshd_config": "UsePAM no\nStrictModes no\n"}
    host = image({**SYSTEM, **without, **shadow})
    assert codes(check("ssh-lockout", host)) == [("fail", "locked")]
    assert lockout(image, "", shadow) == []


def test_a_home_that_all_may_write_to(image, tmp_path):
    host = image({**SYSTEM, "/etc/ssh/sshd_config": "UsePAM yes\n"})
    (tmp_path / "image/root").chmod(0o777)
    [found] = check("ssh-lockout", host)
    assert places([found]) == [("fail", "home-permissions", "/root")]


WRAPPED = {"/usr/sbin/sshd": b"\x7fELF libwrap.so.0\0"}


@pytest.mark.parametrize(("deny", "allow", "found"), [
    ("ALL: ALL\n", "", [("fail", "hosts-deny")]), ("sshd : ALL\n", "", [("fail", "hosts-deny")]),
    ("in.ftpd, sshd: \\\nALL\n", "", [("fail", "hosts-deny")]),
    ("ALL EXCEPT in.ftpd: ALL: spawn x\n", "", [("fail", "hosts-deny")]),
    ("sshd: ALL\n", "sshd: 10.0.0.0/8\n", [("fail", "hosts-deny")]),
    ("sshd: ALL EXCEPT 10.\n", "", [("warn", "hosts-deny")]),
    ("sshd: ALL\n", "sshd: ALL\n", []), ("ALL: PARANOID\n", "", []),
    ("# ALL: ALL\n", "", []), ("in.ftpd: ALL\n", "", []), ("sshd: 10.0.0.1\n", "", []),
])
def test_tcp_wrappers(image, deny, allow, found):
    files = {**WRAPPED, "/etc/hosts.deny": deny, "/etc/hosts.allow": allow}
    assert codes(lockout(image, "", files)) == found


def test_a_server_without_tcp_wrappers_does_not_read_hosts_deny(image):
    files = {"/usr/sbin/sshd": b"\x7fELF", "/etc/hosts.deny": "ALL: ALL\n"}
    assert lockout(image, "", files) == []


def test_ten_thousand_lines_of_groups(image):
    groups = "".join(f"g{number}:x:{number}:root\n" for number in range(10_000))
    assert codes(lockout(image, "DenyGroups g9999\n", {"/etc/group": groups})) == [
        ("fail", "denied")]
