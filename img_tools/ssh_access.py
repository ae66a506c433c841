"""Who can log in to a clone over SSH, and what keeps them out.

A Droplet's owner gets in with a key that cloud-init puts into root's authorized_keys and into those
of the default user of cloud.cfg, where there is one. The rules of refusal are those of sshd's
allowed_user(), of sshd_config(5), pam_nologin(8) and hosts_access(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from posixpath import basename

from img_tools.accounts import Account, Accounts
from img_tools.cloud import CloudInit
from img_tools.rootfs import RootFS
from img_tools.runner import PATH
from img_tools.sshd import CONFIG, Directive, SshdConfig, pattern_matches
from img_tools.units import Units

ADMIN_GROUPS = frozenset({"sudo", "wheel", "admin"})
# What ends a session by itself; any other program may well start a shell (session recorders do).
ENDS = frozenset({"echo", "printf", "false", "true", "exit", "cat", "nologin", "sleep", "logout",
                  ":", "test", "internal-sftp", "sftp-server"})
SHELLS = frozenset({"sh", "bash", "dash"})
SSHD = ("/usr/sbin/sshd", "/usr/lib/openssh/sshd-session", "/usr/libexec/openssh/sshd-session")
SSHD_LIMIT = 16 << 20  # bytes of such a program


@dataclass(frozen=True, slots=True)
class Login:
    """An account that the owner of a clone gets a key for; `account` is None before it is made."""

    name: str
    groups: tuple[str, ...]
    account: Account | None

    @property
    def is_root(self) -> bool:
        """True for the superuser."""
        return self.name == "root"


@dataclass(frozen=True, slots=True)
class Lock:
    """Something that keeps a login out, or (not `certain`) keeps it out from some places.

    A first-boot script lifts it that mentions one of `names`; one that mentions `files` alone may.
    Where both are empty, nothing is expected to.
    """

    code: str
    message: str
    path: str
    fix: str
    names: tuple[str, ...]
    files: tuple[str, ...] = ()
    line: int | None = None
    certain: bool = True


class Access:
    """The ways into clones of the image at ROOT, whose server has CONFIG and listens on PORTS."""

    def __init__(self, root: RootFS, config: SshdConfig, accounts: Accounts, cloud: CloudInit,
                 units: Units, ports: Sequence[int]) -> None:
        self._root = root
        self._config = config
        self._accounts = accounts
        self._cloud = cloud
        self._units = units
        self._ports = ports

    # -- who ---------------------------------------------------------------------------------

    def logins(self) -> Iterator[Login]:
        """Root, and the default user of cloud-init if it may become root."""
        yield self._login("root", ())
        users = self._cloud.setting("users")
        name = self._cloud.setting("system_info", "default_user", "name")
        if not users or "default" not in users.words or not name or not name.text:
            return
        groups = self._cloud.setting("system_info", "default_user", "groups")
        sudo = self._cloud.setting("system_info", "default_user", "sudo")
        names = [part.strip() for word in (groups.words if groups else ())
                 for part in word.split(",")]
        if ADMIN_GROUPS.intersection(names) or (sudo and sudo.words and sudo.text != "False"):
            yield self._login(name.text, (name.text, *names))

    def _login(self, name: str, groups: tuple[str, ...]) -> Login:
        account = self._accounts.by_name(name)
        found = list(groups)
        for line in self._root.read_lines("/etc/group"):
            fields = line.split(":")
            if len(fields) == 4 and ((account and fields[2] == str(account.gid))
                                     or name in fields[3].split(",")):
                found.append(fields[0])
        return Login(name, tuple(dict.fromkeys(found)), account)

    # -- what keeps a login out --------------------------------------------------------------

    def locks(self, login: Login) -> Iterator[Lock]:
        """Everything that keeps LOGIN out."""
        yield from self._forced(login)
        if login.is_root:
            yield from self._values(login, "PermitRootLogin", ("no", "forced-commands-only"),
                                    "permit-root-login", "root may not log in")
        yield from self._values(login, "RefuseConnection", ("yes",), "refuse-connection",
                                "the connection is refused")
        yield from self._lists(login)
        passwords = self._config.first("PasswordAuthentication", "yes") == "yes"
        for lock in self._values(login, "PubkeyAuthentication", ("no",), "no-public-keys",
                                 "no key is accepted"):
            yield replace(lock, certain=lock.certain and not passwords)
        yield from self._values(login, "AuthorizedKeysFile", ("none",), "no-authorized-keys",
                                "no file of authorized keys is read")
        for found in self._config.effective("RevokedKeys", login.name, login.groups):
            path = found.directive.args[0]
            if path.lower() != "none" and not self._root.is_file(path):
                yield _lock(found.directive, "revoked-keys",
                            f"no key is accepted while {path} is missing", found.certain)
        yield from self._account(login)

    def _forced(self, login: Login) -> Iterator[Lock]:
        for found in self._config.effective("ForceCommand", login.name, login.groups):
            word = _program(found.directive.args)
            if word.lower() != "none":
                ends = basename(word) in ENDS or not self._exists(word)
                yield _lock(found.directive, "force-command",
                            f"{login.name} gets no shell but `{word}`", found.certain and ends)

    def _exists(self, program: str) -> bool:
        places = [program] if program.startswith("/") else [
            f"{place}/{program}" for place in PATH.split(":")]
        return any(self._root.is_file(place) for place in places)

    def _values(self, login: Login, keyword: str, values: tuple[str, ...], code: str, why: str
                ) -> Iterator[Lock]:
        for found in self._config.effective(keyword, login.name, login.groups):
            if found.directive.args[0].lower() in values:
                yield _lock(found.directive, code, why, found.certain)

    def _lists(self, login: Login) -> Iterator[Lock]:
        for keyword, names in (("DenyUsers", [login.name]), ("DenyGroups", login.groups)):
            for item in self._config.collected(keyword, login.name, login.groups):
                if any(_listed(pattern, names) for pattern in item.args):
                    yield _lock(item, "denied", f"{login.name} is denied")
        for keyword, names in (("AllowUsers", [login.name]), ("AllowGroups", login.groups)):
            items = self._config.collected(keyword, login.name, login.groups)
            if items and not any(_listed(pattern, names) for item in items
                                 for pattern in item.args):
                yield _lock(items[0], "not-allowed", f"{login.name} is not among those allowed "
                            "from everywhere")

    def _account(self, login: Login) -> Iterator[Lock]:
        account = login.account
        if self._root.exists("/etc/nologin"):
            yield Lock("nologin", "/etc/nologin lets nobody in but root", "/etc/nologin",
                       "rm /etc/nologin", ("/etc/nologin",), certain=not login.is_root)
        if account is None:
            return
        shell = account.shell or "/bin/sh"
        if not account.can_log_in or not self._root.exists(shell):
            why = "ends every session" if not account.can_log_in else "is not in the image"
            yield Lock("shell", f"the shell of {login.name}, {shell}, {why}", "/etc/passwd",
                       f"usermod -s /bin/bash {login.name}",
                       ("chsh", "usermod -s", "usermod --shell"), ("/etc/passwd",), account.line)
        if (account.shadow or "").startswith("!") and self._config.first("UsePAM", "no") == "no":
            yield Lock("locked", f"{login.name} has a locked password, and sshd refuses locked "
                       "accounts without UsePAM", "/etc/shadow", "set UsePAM yes in sshd_config",
                       ("UsePAM", "usermod -U", "passwd -u"))
        if self._config.first("StrictModes", "yes") == "yes":
            yield from self._modes(account)

    def _modes(self, account: Account) -> Iterator[Lock]:
        for path in (account.home, f"{account.home.rstrip('/')}/.ssh"):
            entry = self._root.stat(path, follow=True)
            if entry and entry.is_dir and (entry.mode & 0o002
                                           or entry.uid not in (0, account.uid)):
                yield Lock("home-permissions", f"{path} belongs to another user or is writable for "
                           f"all, so that sshd takes no key of {account.name} (StrictModes)", path,
                           f"chown {account.name} {path} && chmod go-w {path}", ())

    # -- what keeps everybody out ------------------------------------------------------------

    def doors(self) -> Iterator[Lock]:
        """What keeps every login out, wherever it comes from."""
        if self._ports and 22 not in self._ports:
            item = next(iter(self._config.outside("Port")), None)
            listed = ", ".join(map(str, self._ports))
            yield Lock("port", f"sshd listens on port {listed} and not on 22, which a customer "
                       "does not expect", item.path if item else CONFIG,
                       f"comment out line {item.line} of {item.path}" if item
                       else "look at ssh.socket",
                       ("sshd_config",), (), item.line if item else None, certain=False)
        yield from self._addresses()
        if self._root.exists("/etc/hosts.deny") and self._uses_tcp_wrappers():
            yield from self._hosts_deny()

    def _addresses(self) -> Iterator[Lock]:
        family = self._config.outside("AddressFamily")
        if family and family[0].args[0].lower() == "inet6":
            yield _lock(family[0], "ipv6-only", "the server does not listen on IPv4")
        listening = self._config.outside("ListenAddress")
        hosts = {_host(item.args[0]) for item in listening}
        if listening and not hosts & {"0.0.0.0", "*", ""}:  # noqa: S104  (compared, not bound)
            # A socket of systemd listens where it says itself, except on Ubuntu.
            by_socket = self._units.starts("ssh.socket", "sshd.socket") and not (
                self._units.starts("ssh.service", "sshd.service"))
            only = "IPv6" if "::" in hosts else ", ".join(sorted(hosts))
            yield _lock(listening[0], "listen-address", f"the server listens on {only} alone",
                        not by_socket)

    def _uses_tcp_wrappers(self) -> bool:
        return any(b"libwrap.so" in self._root.read_bytes(path, SSHD_LIMIT)
                   for path in SSHD if self._root.is_file(path))

    def _hosts_deny(self) -> Iterator[Lock]:
        allowed = [clients for _, clients in _rules(self._root, "/etc/hosts.allow")]
        if any("ALL" in clients and "EXCEPT" not in clients for clients in allowed):
            return
        for line, clients in _rules(self._root, "/etc/hosts.deny"):
            if "ALL" in clients:
                yield Lock("hosts-deny", f"/etc/hosts.deny line {line} turns SSH away from "
                           "everywhere", "/etc/hosts.deny", f"comment out line {line} of "
                           "/etc/hosts.deny", ("hosts.deny", "hosts.allow"), line=line,
                           certain="EXCEPT" not in clients)


_SPELLED = {word.lower(): word for word in (
    "ForceCommand", "PermitRootLogin", "RefuseConnection", "DenyUsers", "DenyGroups", "AllowUsers",
    "AllowGroups", "PubkeyAuthentication", "AuthorizedKeysFile", "AddressFamily", "ListenAddress",
    "RevokedKeys")}


def _lock(item: Directive, code: str, why: str, certain: bool = True) -> Lock:
    """A lock that a directive of sshd_config is."""
    keyword = _SPELLED.get(item.keyword, item.keyword)
    match = " ".join(f"{criterion.name} {criterion.pattern}".strip() for criterion in item.match)
    own_file = () if item.path == CONFIG else (basename(item.path),)
    return Lock(code, f"{item.where}: {why} ({keyword}{f' for {match}' if match else ''})",
                item.path, f"comment out line {item.line} of {item.path}, or lift it in an "
                "executable script in /var/lib/cloud/scripts/per-instance", (keyword, *own_file),
                ("sshd_config",), item.line, certain)


def _program(args: Sequence[str]) -> str:
    """What ForceCommand runs in the end: `sh -c "echo wait"` is echo."""
    words = [word for arg in args for word in arg.split()]
    if basename(words[0] if words else "") in SHELLS and words[1:2] == ["-c"]:
        words = words[2:]
    return words[0] if words else ""


def _listed(pattern: str, names: Sequence[str]) -> bool:
    """True when PATTERN (USER or USER@HOST) speaks of one of NAMES, wherever it comes from."""
    name, at, host = pattern.partition("@")
    return (not at or host == "*") and any(pattern_matches(name, each) for each in names)


def _host(address: str) -> str:
    """The host of a ListenAddress: HOST, HOST:PORT, [HOST]:PORT or an IPv6 address by itself."""
    if found := re.match(r"\[([^]]*)\]", address):
        return found[1]
    return address if address.count(":") > 1 else address.partition(":")[0]


def _rules(root: RootFS, path: str) -> Iterator[tuple[int, list[str]]]:
    """(line, clients) of every rule for sshd in a file of hosts_access(5)."""
    text, start = "", 0
    for number, line in enumerate(root.read_lines(path), 1):
        start = start if text else number
        text += line
        if text.endswith("\\"):
            text = text[:-1]
            continue
        daemons, colon, rest = text.partition(":")
        names = re.split(r"[\s,]+", daemons.strip())
        if not text.lstrip().startswith("#") and colon and {"ALL", "sshd"}.intersection(
                names[:names.index("EXCEPT")] if "EXCEPT" in names else names):
            # An IPv6 address stands in brackets; options follow the next colon.
            clients = re.split(r":(?![^\[]*\])", rest)[0]
            yield start, re.split(r"[\s,]+", clients.strip())
        text = ""
