import pytest

from tests.support import Fifo, Link, check, codes


def test_a_clean_debian(image):
    assert check("mail-and-spools", image({
        "/var/mail": {}, "/var/spool/mail": Link("../mail"), "/var/spool/cron/crontabs": {},
        "/var/spool/cron/atjobs/.SEQ": "00000", "/var/spool/cron/atspool": {}, "/var/mail/root": "",
        "/var/spool/postfix/pid/master.pid": "1", "/var/spool/postfix/active": {},
        "/var/spool/postfix/public/pickup": Fifo(), "/var/spool/rsyslog": {},
    })) == []


@pytest.mark.parametrize(("path", "code"), [
    ("/var/mail/root", "mail"), ("/root/mbox", "mail"), ("/root/Maildir/new/1.host", "mail"),
    ("/var/spool/mail/root", "mail"), ("/var/spool/postfix/deferred/A/A123", "mail-queue"),
    ("/var/spool/exim4/input/1abc-D", "mail-queue"), ("/var/spool/cron/atjobs/a00001", "at-job"),
    ("/var/spool/at/a00001", "at-job"), ("/var/spool/cups/d00001-001", "print-job"),
    ("/var/spool/rsyslog/queue.00000001", "log-queue"),
])
def test_whatever_waits(image, path, code):
    (finding,) = check("mail-and-spools", image({path: "s3cret"}))
    assert (finding.status, finding.code, finding.path) == ("warn", code, path)
    assert "s3cret" not in repr(finding)


def test_one_mailbox_by_two_names(image):
    host = image({"/var/mail/root": "x", "/var/spool/mail": Link("../mail")})
    assert [finding.path for finding in check("mail-and-spools", host)] == ["/var/mail/root"]


@pytest.mark.parametrize("path", ["/var/spool/cron/crontabs/root", "/var/spool/cron/root"])
def test_a_crontab_is_reported_and_not_removed(image, path):
    (finding,) = check("mail-and-spools", image({path: "# DO NOT EDIT\n0 * * * * /opt/x\n"}))
    assert (finding.status, finding.code, finding.path) == ("warn", "crontab", path)
    assert "/etc/cron.d" in finding.remediation


def test_a_crontab_of_comments_runs_nothing(image):
    assert codes(check("mail-and-spools", image({
        "/var/spool/cron/crontabs/root": "# Edit this file\n#\n   # m h\n\n"}))) == []
