"""No account has SSH keys, neither to log in with nor to log in elsewhere

Whoever holds the private half of a key left in `authorized_keys` can log in to every machine made
from the image, and a private key left behind opens to every customer whatever it opens. Every home
in /etc/passwd is looked at, /root and /etc/skel too: all of `~/.ssh`, private keys in the top of
the home, and wherever AuthorizedKeysFile points, in Match blocks as well. Keys are told by content,
under any name and of any size; an empty `authorized_keys` is fine. A key is reported by type and
SHA256 fingerprint as `ssh-keygen -lf` shows it, never by content.

The key of the session you work in, or of Packer, counts too. `img-clean --yes --only ssh-keys`
removes all but private keys outside of `~/.ssh`, which an application may need: run it last, the
open connection survives that. Then, with no password set, nobody can log in again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from shlex import quote

from img_tools.host import Host, Stored
from img_tools.model import Finding, Skip, Undecided, fail, warn

CATEGORY = "ssh"
REFERENCES = (
    "build-an-image: doesn't have SSH keys",
    "https://man.openbsd.org/sshd#AUTHORIZED_KEYS_FILE_FORMAT",
)

LIMIT = 50  # findings of one kind; the rest are counted, so that a report stays readable
WHY = {
    "authorized-key": "line {line} lets the holder of this key log in as {account}",
    "authorized-line": "line {line} is neither a key nor a comment",
    "private-key": "is a private key",
    "empty-key-file": "is an empty key file",
    "public-key": "holds a public key of the build",
    "certificate": "is an SSH certificate of the build",
    "known-hosts": "names the hosts that the build connected to",
    "ssh-settings": "is a setting of the SSH of {account}",
    "other-file": "does not belong into an image",
}
FAILS = ("authorized-key", "private-key")
CODES = (*WHY, "authorizedkeyscommand", "trustedusercakeys")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every key and for every other file in a `~/.ssh`."""
    with suppress(Skip, Undecided):  # the store says so too, after all it has found
        yield from _server(host)
    yield from _limited(host, host.ssh_store)


def _limited(host: Host, stored: Iterable[Stored]) -> Iterator[Finding]:
    count: Counter[str] = Counter()
    trouble: Undecided | None = None
    try:
        for item in stored:
            count[item.kind] += 1
            if count[item.kind] <= LIMIT:
                yield _finding(host, item)
    except Undecided as undecided:
        trouble = undecided
    for kind, number in count.items():
        if number > LIMIT:
            report = fail if kind in FAILS else warn
            yield report(kind, f"{number} findings {kind} in all, of which {LIMIT} are listed",
                         evidence={"count": number}, fix="do the same for the rest")
    if trouble:
        raise trouble


def _finding(host: Host, item: Stored) -> Finding:
    report = fail if item.kind in FAILS else warn
    account = "every new account" if item.account == "skel" else item.account or "an account"
    why = WHY[item.kind].format(line=item.line, account=account)
    link = f" (a link to {item.target})" if item.target != item.path else ""
    key = f": {item.key}" if item.key else ""
    return report(item.kind, f"{item.path}{link} {why}{key}", path=item.path, line=item.line,
                  account=item.account, fix=_fix(host, item),
                  evidence=item.key.evidence if item.key else {"bytes": item.size})


def _fix(host: Host, item: Stored) -> str:
    if item.outside:
        return f"{item.target} is no file of the account's own: look at it and remove it by hand"
    if item.kind == "private-key" and "/.ssh/" not in item.path:
        return f"rm {quote(item.path)}; what needs such a key makes its own at first boot"
    command = host.clean_command("ssh-keys")
    if item.kind == "authorized-key":
        return f"{command}  # last of all: nobody can log in with it again"
    return command


def _server(host: Host) -> Iterator[Finding]:
    """What lets people in although no account has a key."""
    for keyword, who in (("AuthorizedKeysCommand", "whoever this program names"),
                         ("TrustedUserCAKeys", "everyone whom this authority certifies")):
        for item in host.sshd.all(keyword):
            if item.args[0].lower() != "none":
                yield warn(f"{keyword.lower()}", f"{item.where}: {keyword} lets in {who}, on every "
                           "machine made from the image", path=item.path, line=item.line,
                           evidence={"value": item.args[0]},
                           fix=f"comment out line {item.line} of {item.path}, or set it at first "
                           "boot")
