import pytest

from img_tools.model import Undecided
from tests.support import Fifo, File, Link, check, codes, dpkg

SFTP = "/usr/lib/openssh/sftp-server"
CONFIG = f"Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nSubsystem\tsftp\t{SFTP}\n"
SERVICE = {
    "/lib/systemd/system/ssh.service": "[Unit]\n",
    "/etc/systemd/system/multi-user.target.wants/ssh.service":
        Link("/lib/systemd/system/ssh.service"),
}
SERVER = {
    "/var/lib/dpkg/status": dpkg(openssh_server="1:9.2p1-2"), "/usr/sbin/sshd": File("x", 0o755),
    "/etc/ssh/sshd_config": CONFIG, SFTP: File("x", 0o755), **SERVICE,
}


def server(image, files=None):
    return check("ssh-server", image({**SERVER, **(files or {})}))


def test_the_distribution_as_it_comes_passes(image):
    assert server(image) == []


def test_no_host_key_and_no_directory_of_privilege_separation_is_no_error(image):
    """Defect 32: `sshd -T` fails once the host keys are gone, so sshd is never run (no command is
    announced here, and running one would end the test).
    """
    host = image(SERVER)
    assert check("ssh-server", host) == []
    assert host.run.calls == []


def test_the_package_is_missing(image):
    """Defect 22: openssh-server and SFTP are documented as required, and never checked."""
    [found] = check("ssh-server", image({"/var/lib/dpkg/status": dpkg(bash="5")}))
    assert codes([found]) == [("fail", "not-installed")]
    assert found.remediation == "apt-get install openssh-server"


def test_the_program_is_missing(image):
    assert codes(server(image, {"/usr/sbin/sshd": None})) == [("fail", "not-installed")]


def test_the_configuration_is_missing(image):
    assert codes(server(image, {"/etc/ssh/sshd_config": None})) == [("fail", "no-configuration")]


def test_the_service_is_disabled(image):
    wants = "/etc/systemd/system/multi-user.target.wants/ssh.service"
    [found] = server(image, {wants: None})
    assert codes([found]) == [("fail", "not-enabled")]
    assert found.remediation == "systemctl enable ssh.service"


def test_the_service_is_masked(image):
    [found] = server(image, {"/etc/systemd/system/ssh.service": Link("/dev/null")})
    assert codes([found]) == [("fail", "masked")]
    assert found.remediation == "systemctl unmask ssh.service && systemctl enable ssh.service"


@pytest.mark.parametrize("unit", ["ssh.socket", "sshd.service"])
def test_another_unit_starts_it(image, unit):
    files = {"/etc/systemd/system/multi-user.target.wants/ssh.service": None,
             f"/lib/systemd/system/{unit}": "[Unit]\n",
             f"/etc/systemd/system/x.target.wants/{unit}": Link(f"/lib/systemd/system/{unit}")}
    assert server(image, files) == []


def test_debian_can_be_told_not_to_run_it(image):
    assert codes(server(image, {"/etc/ssh/sshd_not_to_be_run": ""})) == [("fail", "not-to-be-run")]


def test_a_line_that_sshd_refuses(image):
    [found] = server(image, {"/etc/ssh/sshd_config": CONFIG + "Match User bob\nPort 22\n"})
    assert codes([found]) == [("fail", "config-invalid")]
    assert (found.path, found.line) == ("/etc/ssh/sshd_config", 5)


def test_a_keyword_that_is_not_known_is_undecided(image):
    with pytest.raises(Undecided, match="line 4: Frobnicate"):
        server(image, {"/etc/ssh/sshd_config": CONFIG + "Frobnicate yes\n"})


def test_a_configuration_that_cannot_be_read_is_undecided(image):
    with pytest.raises(Undecided):
        server(image, {"/etc/ssh/sshd_config.d/a.conf": Fifo()})


@pytest.mark.parametrize(("line", "found"), [
    ("Subsystem sftp internal-sftp", []), ("Subsystem sftp internal-sftp -f AUTH", []),
    ("subsystem=sftp internal-sftp", []), (f"Subsystem sftp {SFTP} -l INFO", []),
    ("", [("warn", "no-sftp")]), ("#Subsystem sftp internal-sftp", [("warn", "no-sftp")]),
    ("Subsystem other /x", [("warn", "no-sftp")]),
    ("Subsystem sftp /usr/libexec/sftp-server", [("warn", "sftp-missing")]),
])
def test_sftp(image, line, found):
    assert codes(server(image, {"/etc/ssh/sshd_config": f"UsePAM yes\n{line}\n"})) == found


def test_sftp_may_be_configured_in_a_drop_in(image):
    files = {"/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n",
             "/etc/ssh/sshd_config.d/sftp.conf": "Subsystem sftp internal-sftp\n"}
    assert server(image, files) == []


@pytest.mark.parametrize(("lines", "found"), [
    ("PasswordAuthentication yes", ["password-authentication"]),
    ("PasswordAuthentication no\nPasswordAuthentication yes", []),
    ("PasswordAuthentication no\nMatch User bob\nPasswordAuthentication yes",
     ["password-authentication"]),
    ("PermitRootLogin yes", ["root-password-login"]),
    ("PermitRootLogin yes\nPasswordAuthentication no", []),
    ("PermitRootLogin prohibit-password", []),
    ("PermitEmptyPasswords yes", ["empty-passwords"]),
])
def test_passwords_are_worth_a_look(image, lines, found):
    config = f"Subsystem sftp internal-sftp\n{lines}\n"
    assert codes(server(image, {"/etc/ssh/sshd_config": config})) == [
        ("warn", code) for code in found]


def test_cloud_init_may_turn_passwords_on(image):
    [found] = server(image, {"/etc/cloud/cloud.cfg": "ssh_pwauth: true\n"})
    assert (found.code, found.line) == ("password-authentication", 1)


@pytest.mark.parametrize("value", ["false", "unchanged"])
def test_cloud_init_leaves_passwords_off(image, value):
    assert server(image, {"/etc/cloud/cloud.cfg": f"ssh_pwauth: {value}\n"}) == []
