"""Nobody but root is root, and sudo asks for a password

An account with uid 0 is root under another name, a name or uid that two lines share makes it
chance who is meant, and a `+` line lets a NIS server add accounts. A sudoers rule that gives all
commands without a password makes root of everybody who gets into that account. Single commands
without a password are an application's business and not reported; neither is the account that
cloud-init makes by itself, except for what it wrote to /etc/sudoers.d at the build's own first
boot: it writes that again on each new machine.

An account of a person (uid 1000 and above, with a login shell) is a warning: a new machine should
have none that its owner did not ask for, unless the application needs it. So is a directory in
/home that no account owns: nothing else looks for keys and histories there.
"""

import contextlib
import shlex
from collections import Counter
from collections.abc import Iterator

from img_tools.host import Host
from img_tools.model import Finding, Undecided, bounded, fail, warn

CATEGORY = "accounts"
CODES = (
    "deserted-home", "duplicate-name", "duplicate-uid", "nis-entry", "person", "sudo-nopasswd",
    "uid-zero-twin",
)
REFERENCES = ("build-an-image: no preset passwords",)
FIRST_PERSON, NOBODY = 1000, 65534  # Debian Policy 9.2.2; EL has the same in login.defs
LAST_PERSON = 59999
CLOUD_INIT_SUDOERS = "/etc/sudoers.d/90-cloud-init-users"


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every account or rule that gives more than it should."""
    for kind in (_twins(host), _shared(host), _nis(host), _people(host), _deserted(host),
                 _sudo(host)):
        yield from bounded(kind)


def _twins(host: Host) -> Iterator[Finding]:
    for account in host.accounts.all:
        if account.uid == 0 and account.name != "root":
            yield fail("uid-zero-twin", f"the account {account.name} has uid 0: it is root under "
                       "another name", path="/etc/passwd", line=account.line, account=account.name,
                       fix=f"remove {account.name} with `vipw` and `vipw -s`")


def _shared(host: Host) -> Iterator[Finding]:
    names = Counter(account.name for account in host.accounts.all)
    uids = Counter(account.uid for account in host.accounts.all)
    for account in host.accounts.all:
        for what, value, count in (("name", account.name, names[account.name]),
                                   ("uid", account.uid, uids[account.uid])):
            if count > 1 and value != 0 and (what == "name" or names[account.name] == 1):
                yield warn(f"duplicate-{what}", f"/etc/passwd line {account.line}: the {what} of "
                           f"{account.name} is in {count} lines", path="/etc/passwd",
                           line=account.line, account=account.name, evidence={what: value},
                           fix="give each its own with `vipw`, or remove one; `pwck -r` lists them")


def _nis(host: Host) -> Iterator[Finding]:
    for entry in host.accounts.nis:
        yield warn("nis-entry", f"{entry.path} line {entry.line} takes accounts from NIS",
                   path=entry.path, line=entry.line, fix="remove the line with `vipw` or `vipw -s`")


def _deserted(host: Host) -> Iterator[Finding]:
    """Homes whose account is gone (`userdel` without -r)."""
    for home in host.homes:
        if home.deserted:
            yield warn("deserted-home", f"{home.path} is no account's home; what it holds is in "
                       "the image all the same", path=home.path,
                       fix=f"look at it; if it is of no use: rm -r {shlex.quote(home.path)}")


def _people(host: Host) -> Iterator[Finding]:
    expected = _default_user(host)
    for account in host.accounts.all:
        person = FIRST_PERSON <= account.uid <= LAST_PERSON
        if person and account.can_log_in and account.name != expected:
            yield warn("person", f"{account.name} (uid {account.uid}) is an account that people "
                       "log in to", path="/etc/passwd", line=account.line, account=account.name,
                       fix=f"userdel -r {shlex.quote(account.name)}, or usermod -s "
                           f"/usr/sbin/nologin {shlex.quote(account.name)}")


def _sudo(host: Host) -> Iterator[Finding]:
    expected = _default_user(host)
    for grant in host.sudoers:
        left_over = grant.path == CLOUD_INIT_SUDOERS
        if grant.who in ("root", "#0") or (grant.who == expected and not left_over):
            continue
        why = "; cloud-init wrote it for the build machine" if left_over else ""
        yield warn("sudo-nopasswd", f"{grant.path} line {grant.line} makes {grant.who} root "
                   f"without a password{why}", path=grant.path, line=grant.line, account=grant.who,
                   fix=_unwritten(host) if left_over else
                   f"take NOPASSWD out with `visudo -f {shlex.quote(grant.path)}`")


def _unwritten(host: Host) -> str:
    return f"rm {CLOUD_INIT_SUDOERS}" if host.no_cloud_init else host.clean_command("accounts")


def _default_user(host: Host) -> str | None:
    """The account that cloud-init is configured to make on every new machine."""
    with contextlib.suppress(Undecided):  # that its configuration is unclear is another check's
        found = host.cloud.setting("system_info", "default_user", "name")
        return found.node.text if found else None
    return None
