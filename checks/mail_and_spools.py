"""No mail, jobs or print-outs wait in a spool

Looks at mailboxes (/var/mail, Maildir, mbox), the queues of postfix, exim, sendmail and nullmailer,
jobs of at and crontab, and the queues of CUPS and rsyslog. What waits there was written by the
build machine: reports of cron with host names and paths, jobs with the environment, passwords with
it, of whoever gave them. Every Droplet would send or run it again.

`img-clean --yes --only mail-and-spools` empties mailboxes, which their users could not make again,
and removes the rest, but for crontabs. A product may need one: /etc/cron.d is the place for it.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "traces"
CODES = residue.codes("mail-and-spools")
REFERENCES = ("build-an-image: run cleanup.sh after setup",)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for everything that waits in a spool."""
    yield from residue.findings(host, "mail-and-spools")
