"""The people and shells of the running system: what to tell them, and how it goes down."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence

import psutil

from img_tools import residue
from img_tools.host import Host
from img_tools.model import Undecided, printable
from img_tools.plugins import Plugin
from img_tools.runner import CommandMissing, Runner

LOGIN_RECORDS = ("/var/log/wtmp", "/var/log/btmp", "/var/log/wtmp.db", "/var/lib/wtmpdb/wtmp.db")
SHELLS = frozenset({"bash", "zsh", "fish", "ksh", "mksh", "tcsh"})


def notes(host: Host, plugins: Sequence[Plugin]) -> Iterator[str]:
    """What somebody should know before PLUGINS are carried out."""
    ids = {plugin.id for plugin in plugins}
    if "ssh-keys" in ids and _has_keys(host) and not _password_login(host):
        yield ("SSH keys are removed and no account has a password: " + (
            "once you are logged out, nobody can log in to this machine. Be ready to take the "
            "snapshot." if host.live else "who starts the image can log in only with a key that "
            "cloud-init or a first-boot script puts there."))
    kept = sorted(_in_use(host)) if "temp-files" in ids else []
    if kept:
        yield (f"running processes use {', '.join(kept[:5])}{' and more' * (len(kept) > 5)}, which "
               "stays; stop them (fuser -v FILE names them) and run img-clean again")
    if "free-space" in ids and host.erase_mode != "off":
        yield from map(printable, host.storage.notes)
    if "shell-history" in ids and host.live and _interactive():
        yield ("the shell you typed this in writes its history again when it ends: power off with "
               "--poweroff, or leave it with: kill -9 $$")


def _has_keys(host: Host) -> bool:
    with contextlib.suppress(Undecided):
        return any(True for _ in host.ssh_store)
    return True  # what cannot be read may be one


def _password_login(host: Host) -> bool:
    try:
        accounts = host.accounts.all
    except Undecided:
        return False
    if host.policy.lock_root:
        accounts = tuple(account for account in accounts if account.name != "root")
    return any(account.can_log_in and account.shadow_state is not None
               and account.shadow_state.state.value == "set" for account in accounts)


def _in_use(host: Host) -> Iterator[str]:
    with contextlib.suppress(Undecided):
        yield from map(printable, residue.in_use(host, "temp-files"))


def _interactive() -> list[psutil.Process]:
    """Shells that people type in: each may write its history when it ends."""
    return [process for process in psutil.process_iter(["name"])
            if process.info["name"] in SHELLS and _has_terminal(process.pid)]


def _has_terminal(pid: int) -> bool:
    """tty_nr of proc(5). psutil knows terminals by the names in /dev, and not /dev/hvc0."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[4] != b"0"
    except OSError:  # it has ended
        return False


def power_off(run: Runner) -> None:
    """Power the machine off, after killing the shells that would write their history first.

    SIGKILL, since bash saves its history on SIGHUP and SIGTERM; our own parent is among them, so
    that the hang-up of its terminal must not end us before the power does. sshd, PAM and
    systemd record each logout and the end of each getty: until the power is off, they cannot.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for path in LOGIN_RECORDS:
        with contextlib.suppress(Undecided):  # a record too many is no reason to stay on
            run("mount", "--bind", path, path)
            run("mount", "-o", "remount,bind,ro", path)  # in one, it is ignored on CentOS 7
    os.sync()
    for process in _interactive():
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    try:
        run("systemctl", "poweroff")
    except CommandMissing:  # CentOS 6
        run("poweroff")
