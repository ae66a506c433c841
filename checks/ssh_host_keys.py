"""No SSH host key is in the image, and every clone makes its own

A host key baked into an image is shared by every machine made from it: whoever owns one can pose as
any other. Looked at are `/etc/ssh/ssh_host_*_key*`, the paths that HostKey names, and every other
private key below /etc/ssh. A key is reported by type and SHA256 fingerprint, never by content.

`img-clean --yes --only ssh-host-keys` removes those of the usual names, as one of the last steps.
On a clone cloud-init makes new ones; the check says so when cloud-init is kept from it, since sshd
without host keys refuses every connection.
"""

from collections.abc import Iterator
from contextlib import suppress
from shlex import quote

from img_tools import residue
from img_tools.host import Host, private_key, public_key
from img_tools.model import Finding, Skip, Undecided, fail, warn

CATEGORY = "ssh"
CODES = (*residue.codes("ssh-host-keys"), "deletekeys-off", "not-regenerated", "private-key")
REFERENCES = (
    "https://cloudinit.readthedocs.io/en/latest/reference/modules.html#ssh",
    "CVE-2018-10896: host keys kept by ssh_deletekeys: 0",
)

HEAD = 1 << 16  # bytes read of a file; a private key begins well within
MAX_FILES = 2000  # below /etc/ssh


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every host key, and when a clone would have none."""
    seen: set[str] = set()
    yield from _by_name(host, seen)
    yield from _by_content(host, seen)
    with suppress(Skip):
        yield from _by_configuration(host, seen)
        yield from _regeneration(host)


def _by_name(host: Host, seen: set[str]) -> Iterator[Finding]:
    """Files called like host keys, whatever they hold; a public half goes with its private one."""
    found = list(residue.matches(host, "ssh-host-keys"))
    private = {match.path for match in found if match.residue.code == "host-key"}
    seen.update(private)
    for match in found:
        path = match.path
        if match.residue.code == "host-key":
            yield _finding(host, path, match.residue.why, host.clean_command("ssh-host-keys"))
        elif path.removesuffix(".pub").removesuffix("-cert") not in private:
            key = public_key(host.root.read_bytes(path, HEAD, head=True))
            yield warn("host-key-public", f"{path}: {match.residue.why}", path=path,
                       evidence=key.evidence if key else {},
                       fix=host.clean_command("ssh-host-keys"))


def _finding(host: Host, path: str, why: str, fix: str, code: str = "host-key") -> Finding:
    key = private_key(host.root.read_bytes(path, HEAD, head=True))
    with suppress(FileNotFoundError, Undecided):
        if key and not key.fingerprint:  # an old format, which the public half beside it completes
            key = public_key(host.root.read_bytes(f"{path}.pub", HEAD, head=True)) or key
    return fail(code, f"{path}: {why}", path=path, fix=fix,
                evidence=key.evidence if key else {"type": "unknown"})


def _by_configuration(host: Host, seen: set[str]) -> Iterator[Finding]:
    """Host keys that sshd_config names elsewhere, and links to them. Raises Skip without sshd."""
    paths = {item.args[0] for keyword in ("HostKey", "HostDSAKey")
             for item in host.sshd.all(keyword)}
    paths.update(entry.path for entry in host.root.glob("/etc/ssh/ssh_host_*_key*")
                 if entry.is_link)
    for path in sorted(paths):
        target = host.root.resolve(path)
        entry = host.root.stat(target)
        if target not in seen and entry and entry.is_file and entry.size and (
                private_key(host.root.read_bytes(target, HEAD, head=True))):
            seen.add(target)
            yield _finding(host, target, f"the host key {path}, which every clone would share",
                           f"rm {quote(target)}, and have it made anew at first boot")


def _by_content(host: Host, seen: set[str]) -> Iterator[Finding]:
    for number, entry in enumerate(host.root.walk("/etc/ssh")):
        if number >= MAX_FILES:
            raise Undecided(f"/etc/ssh holds over {MAX_FILES} files; the rest was not searched")
        if entry.path not in seen and entry.is_file and (
                private_key(host.root.read_bytes(entry.path, HEAD, head=True))):
            seen.add(entry.path)
            yield _finding(host, entry.path, "a private key below /etc/ssh",
                           f"rm {quote(entry.path)}", code="private-key")


def _regeneration(host: Host) -> Iterator[Finding]:
    """Whether a clone gets keys of its own. Raises Skip without sshd, which needs none."""
    host.sshd  # noqa: B018
    deletes = host.cloud.setting("ssh_deletekeys")
    if deletes and not deletes.is_true:
        yield warn("deletekeys-off", f"{deletes.path} line {deletes.line} says ssh_deletekeys: "
                   f"{deletes.text}, so that a clone keeps the host keys of its image",
                   path=deletes.path, line=deletes.line,
                   fix=f"comment out line {deletes.line} of {deletes.path}")
    why = host.no_host_keys
    if why:
        yield fail("not-regenerated", f"nothing makes host keys on a clone: {why}; sshd without "
                   "host keys refuses every connection",
                   fix="have cloud-init run its module ssh, or run `ssh-keygen -A` at first boot")
