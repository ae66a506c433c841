"""Remove former versions of the password files; lock root if the policy says so

`shadow-` and the like keep the hash of a password that was locked or changed, and name accounts
that are gone; so does what PAM remembers in opasswd. sudo rules that cloud-init wrote for the user
of the build machine go if cloud-init writes them again on a clone.

Which account may have a password is for people to say: `img-check` names those that have one. With
`lock_root = true` in the policy file root's is replaced by `*`, which no password matches and which
leaves SSH keys working.
"""

from collections.abc import Iterator

from img_tools.actions import Action, Phase, Remove, Run, Truncate
from img_tools.host import Host, State

PHASE = Phase.ACCOUNTS

BACKUPS = tuple(f"/etc/{name}-"
                for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"))
REMEMBERED = "/etc/security/opasswd"
CLOUD_INIT_SUDOERS = "/etc/sudoers.d/90-cloud-init-users"


def plan(host: Host) -> Iterator[Action]:
    """Yield the lock first, since usermod leaves the old hash in `shadow-`."""
    if host.policy.lock_root and _has_password(host):
        yield Run(("usermod", "-p", "*", "root"), "the policy says that root has no password")
    with_hash = [path for path, names in host.password_files.copies() if names]
    for path in with_hash:
        if path == REMEMBERED:
            yield Truncate(path, "PAM's memory of former passwords")
        else:
            yield Remove(path, "a copy that holds the hash of a password")
    for path in BACKUPS:
        if path not in with_hash and _is_file(host, path):
            yield Remove(path, "the file as it was before its last change")
    if _is_file(host, CLOUD_INIT_SUDOERS) and not host.no_cloud_init:
        yield Remove(CLOUD_INIT_SUDOERS, "cloud-init writes it anew for the user of a clone")


def _is_file(host: Host, path: str) -> bool:
    entry = host.root.stat(path)
    return entry is not None and entry.is_file


def _has_password(host: Host) -> bool:
    root = host.accounts.by_name("root")
    field = root.shadow_state if root else None
    return field is not None and field.state in (State.SET, State.EMPTY, State.LOCKED_HASH)
