import pytest

from img_tools.policyfile import Policy
from tests.support import Fifo, File, Link, check, codes, mended_by

CLEAN = {
    "/var/log/faillog": "", "/var/log/lastlog": "", "/var/log/wtmp": "", "/var/log/btmp": "",
    "/var/log/README": Link("../../usr/share/doc/systemd/README.logs"),
    "/usr/share/doc/systemd/README.logs": "where the logs are", "/var/log/apt": {},
    "/var/log/unattended-upgrades": {}, "/var/log/journal": {}, "/var/log/auth.log": "",
}


def test_a_clean_debian(image):
    assert check("logs", image(CLEAN)) == []


def test_no_logs_at_all(image):
    assert check("logs", image()) == []


@pytest.mark.parametrize(("name", "code"), [
    ("syslog", "log"), ("messages", "log"), ("secure", "log"), ("cron", "log"), ("maillog", "log"),
    ("nginx/access.log", "log"), ("apt/term.log", "log"), ("audit/audit.log", "log"),
    ("installer/autoinstall-user-data", "log"), ("wtmp", "login-record"), ("btmp", "login-record"),
    ("lastlog", "login-record"), ("dpkg.log.2.gz", "rotated-log"), ("x.xz", "rotated-log"),
    ("boot.log.old", "rotated-log"), ("syslog.10", "rotated-log"), ("auth.log.1", "rotated-log"),
    ("secure-20240131", "rotated-log"), ("nginx/error.log-20240131.gz", "rotated-log"),
    ("journal/0123456789abcdef0123456789abcdef/system.journal", "journal"),
    ("journal/0123456789abcdef0123456789abcdef/user-0@0-1.journal~", "journal"),
])
def test_logs_of_any_name_and_depth(image, name, code):
    """Defect 18: upstream looks at *.log, *.[0-9] and *-???????? of /var/log alone."""
    (finding,) = check("logs", image({**CLEAN, f"/var/log/{name}": "x"}))
    assert (finding.status, finding.code, finding.path) == ("warn", code, f"/var/log/{name}")


@pytest.mark.parametrize("name", ["syslog.1", "nginx/access.log.2.gz", "messages-20240131"])
def test_old_logs_count_even_when_empty(image, name):
    assert codes(check("logs", image({f"/var/log/{name}": ""}))) == [("warn", "rotated-log")]


def test_a_dangling_link_hides_nothing(image):
    """Defect 19: upstream stops at the first link that leads nowhere."""
    host = image({"/var/log/aaa.log": Link("/nonexistent"), "/var/log/auth.log": "x"})
    assert [finding.path for finding in check("logs", host)] == ["/var/log/auth.log"]


def test_a_directory_is_no_log(image):
    """Defect 28: upstream takes /var/log/unattended-upgrades for a log archive."""
    assert check("logs", image({"/var/log/unattended-upgrades": {},
                                "/var/log/cluster-20240131": {}})) == []


def test_few_bytes_count(image):
    assert codes(check("logs", image({"/var/log/auth.log": "\n"}))) == [("warn", "log")]


def test_contents_are_never_shown(image):
    """Defect 33: upstream prints whole logs into the build log."""
    host = image({"/var/log/auth.log": "password hunter2 \x1b[2J"})
    assert "hunter2" not in repr(check("logs", host))


def test_logs_count_however_young_they_are(image):
    """Defect 31: logs are written again while the check runs; that is said, and not exempted."""
    host = image({"/var/log/auth.log": "sshd: Invalid user admin\n"})
    (finding,) = check("logs", host)
    assert mended_by(finding) == "logs"
    import img_tools.checks.logs as module

    assert "again within minutes" in " ".join(module.__doc__.split())


@pytest.mark.parametrize("name", ["lastlog", "faillog"])
def test_a_record_of_accounts_without_a_login_is_empty(image, name):
    """useradd writes zeros for each account: bullseye ships 30,660 of them."""
    assert check("logs", image({f"/var/log/{name}": "\0" * 30660})) == []
    host = image({f"/var/log/{name}": b"\0" * 292 + b"\x01\x02" + b"\0" * 290})
    assert codes(check("logs", host)) == [("warn", "login-record")]


def test_a_sparse_lastlog_of_a_large_uid(image):
    assert check("logs", image({"/var/log/lastlog": File(size=292 << 32)})) == []


@pytest.mark.parametrize("path", ["/var/lib/wtmpdb/wtmp.db", "/var/lib/lastlog/lastlog2.db"])
def test_the_records_of_debian_13(image, path):
    assert codes(check("logs", image({path: "SQLite"}))) == [("warn", "login-record")]


def test_an_installer_answer_file(image):
    assert codes(check("logs", image({"/root/anaconda-ks.cfg": "rootpw --iscrypted x"}))) == [
        ("warn", "installer-log")]


def test_var_log_elsewhere(image):
    host = image({"/var/log": Link("/data/log"), "/data/log/syslog": "x"})
    assert [finding.path for finding in check("logs", host)] == ["/var/log/syslog"]


def test_special_files_and_names(image):
    host = image({"/var/log/xconsole": Fifo(), "/var/log/loop": Link("loop"),
                  "/var/log/a\udcff\n.log": "x", "/var/log/huge": File(size=1 << 42)})
    assert sorted(finding.path for finding in check("logs", host)) == [
        "/var/log/a\udcff\n.log", "/var/log/huge"]


def test_many_logs_are_counted(image):
    host = image({f"/var/log/app/{number}.log": "x" for number in range(200)})
    found = check("logs", host)
    assert len(found) == 51
    assert "200 in all" in found[-1].message


def test_logs_that_the_policy_expects_are_none_of_its_business(image):
    host = image({"/var/log/app/a.log": "x", "/var/log/app/b.txt": "x", "/var/log/a.log": "x"})
    host.policy = Policy(expected_logs=("/var/log/app/*.log",))
    assert [finding.path for finding in check("logs", host)] == [
        "/var/log/a.log", "/var/log/app/b.txt"]


def test_expected_logs_do_not_use_up_the_list(image):
    host = image({f"/var/log/app/{number}.log": "x" for number in range(60)} | {"/var/log/z": "x"})
    host.policy = Policy(expected_logs=("/var/log/app/**",))
    assert [finding.path for finding in check("logs", host)] == ["/var/log/z"]
