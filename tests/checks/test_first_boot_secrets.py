import pytest

from tests.support import Fifo, Link, check, codes


@pytest.mark.parametrize("name", [
    ".digitalocean_passwords", ".digitalocean_password", ".digitalocean_dbaas_credentials",
    ".digitalocean_spaces_credentials", ".digitalocean_anything"])
def test_what_the_first_boot_leaves_for_the_customer(image, name):
    (finding,) = check("first-boot-secrets", image({f"/root/{name}": "mysql=Tr0ub4dor\n"}))
    assert (finding.status, finding.code) == ("fail", "digitalocean-passwords")
    assert finding.path == f"/root/{name}"
    assert "Tr0ub4dor" not in repr(finding)
    assert "per-instance" in finding.remediation


@pytest.mark.parametrize(("path", "content", "code"), [
    ("/root/passwords.txt", "x", "password-list"),
    ("/root/.credentials", "x", "password-list"),
    ("/var/lib/jenkins/secrets/initialAdminPassword", "x", "generated-password"),
    ("/var/lib/jenkins/secrets/master.key", "x", "generated-password"),
    ("/etc/gitlab/initial_root_password", "x", "generated-password"),
    ("/etc/mysql/debian.cnf", "[client]\nuser = x\npassword = Tr0ub\n", "generated-password"),
    ("/etc/dbconfig-common/app.conf", "dbc_dbpass='Tr0ub'\n", "generated-password"),
    ("/etc/phpmyadmin/config-db.php", "$dbpass='Tr0ub';\n", "generated-password"),
    ("/var/lib/phpmyadmin/blowfish_secret.inc.php", "x", "generated-password"),
    ("/etc/redis/redis.conf", "bind ::1\nrequirepass Tr0ub\n", "generated-password"),
])
def test_what_was_made_too_early_is_a_warning(image, path, content, code):
    (finding,) = check("first-boot-secrets", image({path: content}))
    assert (finding.status, finding.code, finding.path) == ("warn", code, path)
    assert "Tr0ub" not in repr(finding)


@pytest.mark.parametrize(("path", "content"), [
    ("/etc/mysql/debian.cnf", "[client]\nhost = localhost\nuser = root\n"),
    ("/etc/dbconfig-common/app.conf", "dbc_dbpass=''\n"),
    ("/etc/redis/redis.conf", "# requirepass foobared\n"), ("/root/.digitalocean_password", ""),
    ("/root/.digitalocean_passwords", Fifo()), ("/root/.digitalocean_passwords", {}),
    ("/root/.digitalocean_passwords", Link(".digitalocean_passwords")),
    ("/root/passwords.md", "x")])
def test_nothing_is_given_away(image, path, content):
    assert codes(check("first-boot-secrets", image({path: content}))) == []
