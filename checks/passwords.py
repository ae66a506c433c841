"""No account or group has a password, and no hash of one is left

A password set at build time is the same on every machine made from the image, and its hash can be
cracked by anybody who has one. Every account counts, system accounts too. Four things are told
apart: a password that opens the account, an empty field (nobody is asked for a password at all), a
hash that is locked but still there, and a field that holds no password (`*`, `!`, `!!`, `*LK*`,
...), which is what an image should have. What is not provably locked counts as set.

Also read: /etc/group and gshadow, lines of shadow that no account uses, lines that are malformed,
and copies of these files (`shadow-` keeps the hash of a password that was locked or changed), and
the former passwords in /etc/security/opasswd.

`usermod -p '*' NAME` takes a password away and keeps ssh keys working; `passwd -l NAME` closes an
account that has an empty field. Which account may have one is for people to say; the copies that
such commands leave are removed by `img-clean --yes --only accounts`.
"""

import shlex
from collections.abc import Iterator

from img_tools.host import Account, Host, State
from img_tools.model import Finding, bounded, fail, warn

CATEGORY = "accounts"
CODES = (
    "copy-not-read", "copy-with-hash", "group-locked-hash", "group-password", "hash-in-passwd",
    "locked-hash", "malformed-line", "no-shadow-file", "no-shadow-line", "orphan-hash",
    "password-empty", "password-set",
)
REFERENCES = ("build-an-image: no preset passwords",)
PASSWD, SHADOW = "/etc/passwd", "/etc/shadow"
NAMES = 20  # names in one message


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every password, hash, or line that may hide one."""
    for kind in (_set(host), _empty(host), _locked(host), _no_shadow(host), _orphans(host),
                 _groups(host), _copies(host), _malformed(host)):
        yield from bounded(kind)


def _unset(name: str) -> str:
    return f"usermod -p '*' {shlex.quote(name)} && rm -f {SHADOW}-"


def _states(host: Host, state: State) -> Iterator[tuple[Account, str, str | None]]:
    """(account, file, form) of every field that says STATE."""
    for account in host.accounts.all:
        for path, field in ((PASSWD, account.passwd_state), (SHADOW, account.shadow_state)):
            if field is not None and field.state is state:
                yield account, path, field.form


def _set(host: Host) -> Iterator[Finding]:
    for account, path, form in _states(host, State.SET):
        where = " in /etc/passwd, which everybody can read" if path == PASSWD else ""
        yield fail("hash-in-passwd" if path == PASSWD else "password-set",
                   f"{account.name} has a password set{where}", path=path, account=account.name,
                   evidence={"form": form}, fix=_unset(account.name))


def _empty(host: Host) -> Iterator[Finding]:
    for account, path, _ in _states(host, State.EMPTY):
        name = account.name
        fix = f"passwd -l {shlex.quote(name)}"
        if path == PASSWD:  # passwd(1) works on shadow and leaves this field alone
            fix = f"put x in field 2 of {name} with `vipw`, then {fix}"
        yield fail("password-empty", f"{name} needs no password: field 2 in {path} is empty",
                   path=path, account=name, fix=fix)


def _locked(host: Host) -> Iterator[Finding]:
    for account, path, form in _states(host, State.LOCKED_HASH):
        yield warn("locked-hash", f"{account.name} is locked, but the hash of its password is "
                   f"still in {path}", path=path, account=account.name, evidence={"form": form},
                   fix=_unset(account.name))


def _no_shadow(host: Host) -> Iterator[Finding]:
    refer = [account for account in host.accounts.all
             if account.shadow is None and account.passwd_state.state is State.SHADOW]
    if refer and not host.accounts.has_shadow:
        yield warn("no-shadow-file", f"{PASSWD} refers to {SHADOW}, which does not exist: no "
                   "password can be used, and none set", path=SHADOW, fix="pwconv")
        return
    for account in refer:
        yield warn("no-shadow-line", f"{account.name} has no line in {SHADOW}, to which {PASSWD} "
                   "refers: it has no password now, but no lock either", path=SHADOW,
                   account=account.name, fix=f"usermod -p '*' {shlex.quote(account.name)}")


def _orphans(host: Host) -> Iterator[Finding]:
    for entry in host.accounts.orphans:
        if entry.field.state in (State.SET, State.LOCKED_HASH):
            yield warn("orphan-hash", f"{entry.path} line {entry.line} holds the hash of a "
                       f"password for {entry.name} that no account uses", path=entry.path,
                       line=entry.line, account=entry.name, evidence={"form": entry.field.form},
                       fix="remove the line with `vipw -s`")


def _groups(host: Host) -> Iterator[Finding]:
    for entry in host.password_files.groups:
        fix = f"gpasswd -r {shlex.quote(entry.name)} && rm -f {entry.path}-"
        evidence = {"group": entry.name, "form": entry.field.form}
        if entry.field.state is State.SET:
            yield fail("group-password", f"the group {entry.name} has a password in {entry.path}",
                       path=entry.path, line=entry.line, evidence=evidence, fix=fix)
        elif entry.field.state is State.LOCKED_HASH:
            yield warn("group-locked-hash", f"the group {entry.name} still has the hash of a "
                       f"locked password in {entry.path}", path=entry.path, line=entry.line,
                       evidence=evidence, fix=fix)


def _copies(host: Host) -> Iterator[Finding]:
    for path, names in host.password_files.copies():
        fix = f"rm -f {shlex.quote(path)}"
        if names is None:
            yield warn("copy-not-read", f"{path} looks like a copy of a password file and is not "
                       "text, or too large, so its hashes cannot be ruled out", path=path, fix=fix)
        else:
            fix = host.clean_command("accounts")
            more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
            yield warn("copy-with-hash", f"{path} still holds the hash of a password "
                       f"for {', '.join(names[:NAMES])}{more}", path=path,
                       evidence={"count": len(names)}, fix=fix)


def _malformed(host: Host) -> Iterator[Finding]:
    for line in host.accounts.malformed:
        yield warn("malformed-line", f"{line.path} line {line.line} is malformed", path=line.path,
                   line=line.line, fix="pwck -r shows it; mend it with `vipw` or `vipw -s`")
