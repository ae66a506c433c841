"""The owner of a clone can log in over SSH

A template may lock SSH until its first boot is done, with `Match User root` and ForceCommand in
sshd_config: then an executable script in /var/lib/cloud/scripts must take the lock away, or no
customer ever gets in. Besides ForceCommand the check reads AllowUsers, DenyUsers and their groups,
PermitRootLogin, PubkeyAuthentication, RevokedKeys (whose missing file refuses every key),
ListenAddress, Port, /etc/nologin, /etc/hosts.deny, the shell and the permissions of the home. The
owner's key goes to root, and to the default user of cloud.cfg.

A script counts when it can run and names the directive or the file; that it does the right thing
cannot be told by reading, so try a clone. One that is not executable is passed over in silence.
"""

from collections.abc import Iterator

from img_tools.host import Host, Lock
from img_tools.model import Finding, Undecided, fail, warn

CATEGORY = "ssh"
CODES = (
    "denied", "force-command", "home-permissions", "hosts-deny", "ipv6-only", "listen-address",
    "locked", "no-authorized-keys", "no-public-keys", "nologin", "not-allowed", "permit-root-login",
    "port", "refuse-connection", "revoked-keys", "shell",
)
REFERENCES = (
    "https://man.openbsd.org/sshd_config",
    "https://github.com/digitalocean/droplet-1-clicks: 018-force-ssh-logout.sh",
)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for whatever keeps the owner of a clone out."""
    access = host.ssh_access
    for lock in access.doors():
        yield from _finding(host, lock)
    locks = {login.name: list(access.locks(login)) for login in access.logins()}
    reachable = [name for name, found in locks.items()
                 if all(_lifted(host, lock) for lock in found if lock.certain)]
    told = [lock for name in reachable[:1] or locks for lock in locks[name]
            if lock.certain or reachable]
    # Who keeps root out for good gives the default user a way in instead; a forced command is no
    # such policy, but a lock that somebody meant to lift.
    forced = [lock for lock in locks["root"] if lock.code == "force-command"]
    for lock in dict.fromkeys([*told, *forced]):
        yield from _finding(host, lock)


def _lifted(host: Host, lock: Lock) -> bool:
    step = host.on_boot.mentions(lock.names + lock.files)
    return step is not None and step.flaw is None


def _finding(host: Host, lock: Lock) -> Iterator[Finding]:
    step = host.on_boot.mentions(lock.names)
    if step and not step.flaw:
        return
    by_file = host.on_boot.mentions(lock.files)
    message, fix, report = lock.message, lock.fix, fail if lock.certain else warn
    if by_file and not by_file.flaw:
        step, report = by_file, warn
        message += f"; {step.path} changes the file, but does not name {lock.names[0]}"
    elif step and step.flaw and step.script:
        message += f"; {step.path}, which deals with it, {step.script.why(step.flaw)}"
        fix = step.script.fix(step.flaw)
    elif lock.certain and lock.names and (program := host.on_boot.opaque):
        raise Undecided(f"{message}; whether {program.path}, a program, lifts it cannot be told by "
                        "reading: boot a clone to see")
    yield report(lock.code, message, path=lock.path, line=lock.line, fix=fix,
                 evidence={"script": step.path} if step else {})
