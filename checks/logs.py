"""There are no logs, old logs or records of logins

Looks at everything below /var/log, at any depth: every regular file that is not empty, whatever its
name (syslog, messages, btmp, apt/term.log, the journal, ...), and every archive and rotated file
even when empty. lastlog and faillog are full of zeros when accounts are made: only a login counts.
Contents are never printed. More than 50 of a kind are counted, not listed.

A log tells every user of the image the addresses, host names and accounts of the build machine, at
times passwords. `img-clean --yes --only logs` empties logs in place, so that their services can go
on, and removes old ones; what `expected_logs` in the policy file names is neither flagged nor
touched. On a machine that is reachable from the Internet sshd and the firewall
write again within minutes: a whole run of `img-clean` stops the loggers first and empties the logs
once more at its end; check at once (`--check`).
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Finding

CATEGORY = "traces"
CODES = residue.codes("logs")
REFERENCES = ("build-an-image: doesn't have populated log files/archives",)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every log with content and every old log."""
    yield from residue.listed(host, (match for match in residue.matches(host, "logs")
                                     if not host.policy.expects_log(match.path)))
