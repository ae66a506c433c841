import pytest

from img_tools.actions import Truncate
from tests.support import Fifo, Link, carried_out, check, plan


def test_mailboxes_are_emptied_and_the_rest_goes(image):
    """Cleanup defect 14: upstream looks into no spool."""
    rest = ["/var/spool/postfix/deferred/A/A12", "/var/spool/cron/atjobs/a00001019d2c40",
            "/root/Maildir/new/1.x", "/root/dead.letter", "/var/spool/cups/d00001-001"]
    host = image({"/var/mail/root": "From x\n", **dict.fromkeys(rest, "x")})
    assert [action.path for action in plan("mail-and-spools", host)
            if isinstance(action, Truncate)] == ["/var/mail/root"]
    assert carried_out("mail-and-spools", host) == sorted(["/var/mail/root", *rest])
    assert host.root.stat("/var/mail/root").size == 0
    assert check("mail-and-spools", host) == []


def test_a_spool_that_is_a_link_to_mail_is_one_place(image):
    host = image({"/var/spool/mail": Link("/var/mail"), "/var/mail/root": "x"})
    assert carried_out("mail-and-spools", host) == ["/var/mail/root"]


def test_crontabs_and_the_counter_of_at_stay(image):
    host = image({"/var/spool/cron/crontabs/root": "0 * * * * /opt/acme/job\n",
                  "/var/spool/cron/atjobs/.SEQ": "00001", "/etc/cron.d/acme": "x",
                  "/var/spool/postfix/pid/master.pid": "1"})
    assert plan("mail-and-spools", host) == []


@pytest.mark.parametrize("what", [Link("/etc/passwd"), Fifo()])
def test_a_mailbox_of_another_kind_leads_nowhere(image, what):
    assert plan("mail-and-spools", image({"/var/mail/root": what})) == []
