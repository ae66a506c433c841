"""The image as a plugin sees it: files, accounts, services, packages, and nothing else."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from img_tools import (
    accounts,
    bashrc,
    boot,
    cloud,
    erase,
    firewall,
    host_keys,
    inuse,
    mounts,
    onboot,
    os_release,
    packages,
    scripts,
    services,
    ssh_access,
    ssh_store,
    sshd,
    sudoers,
    units,
)
from img_tools.accounts import Account, Accounts, PasswordFiles, State
from img_tools.bashrc import Hook
from img_tools.boot import Mount
from img_tools.entries import LinkLoop
from img_tools.firewall import Filtering, Firewall
from img_tools.model import Skip, Undecided
from img_tools.once import once
from img_tools.os_release import OsRelease
from img_tools.packages import Repository, Update
from img_tools.policy import DEFAULT, PROFILES, Profile, Release, find
from img_tools.policyfile import NO_POLICY, Policy
from img_tools.rootfs import RootFS
from img_tools.runner import Runner
from img_tools.scratch import Scratch
from img_tools.secrets import scan
from img_tools.secrets.rules import CODES as SECRET_CODES
from img_tools.secrets.scan import Secret
from img_tools.ssh_access import Lock
from img_tools.ssh_store import Stored
from img_tools.sshkeys import private as private_key
from img_tools.sshkeys import public as public_key

__all__ = ["SECRET_CODES", "Account", "Filtering", "Firewall", "Home", "Hook", "Host", "Lock",
           "Mount", "OsRelease", "Repository", "RootFS", "Secret", "State", "Stored", "Update",
           "private_key", "public_key"]


@dataclass(frozen=True, slots=True)
class Home:
    """A home directory that exists, and the first account it belongs to.

    With `deserted` there is no such account any more, and `account` is what it was called.
    """

    path: str
    account: str
    deserted: bool = False


class Host:
    """One image at ROOT. Facts are looked up when first asked for and shared between threads."""

    def __init__(
        self,
        root: RootFS,
        run: Runner,
        *,
        profile: Profile = PROFILES[DEFAULT],
        refresh: bool = True,
        policy: Policy = NO_POLICY,
        erase_mode: str = "off",
    ) -> None:
        self.root = root
        self.run = run
        self.profile = profile
        self.refresh = refresh
        self.policy = policy
        self.erase_mode = erase_mode
        self.today = datetime.now(UTC).date()
        self._scratch = Scratch(root)

    def close(self) -> None:
        """Kill what still runs and remove what was put aside; safe to call at any time."""
        self.run.close()
        self._scratch.close()

    def forget(self) -> None:
        """Look every fact up anew: the image was changed."""
        for name in [name for name in self.__dict__ if name.startswith("_kept_")]:
            del self.__dict__[name]

    @property
    def live(self) -> bool:
        """True when the image is the running system, so that the kernel can be asked."""
        return self.root.top == "/"

    def require_live(self, why: str) -> None:
        """Raise Skip(WHY) unless the image is the running system."""
        if not self.live:
            raise Skip(f"{why}, and --root is not the running system")

    @once
    def storage(self) -> erase.Storage:
        """The file systems and swap of the image whose free space is to be erased."""
        return erase.find(self.root.top)

    def scan_free(self, target: erase.Target, limit: int) -> erase.Sample:
        """Read at most LIMIT bytes of what is free in TARGET. Raises Undecided."""
        return erase.sample(target, limit)

    @cached_property  # asked once a file, and two threads find the same
    def volatile(self) -> frozenset[int]:
        """Devices (st_dev) of file systems in memory or on servers: no snapshot holds those."""
        found = {mount.device for mount in mounts.read()
                 if mount.kind in mounts.MEMORY | mounts.NETWORK}
        return frozenset(found - {os.stat(self.root.top).st_dev})

    def partitions(self, base: str) -> frozenset[str]:
        """Directories below BASE where another disk of the image is mounted; walks end there."""
        try:
            place = self.root.resolve(base)
        except LinkLoop:
            return frozenset()
        return frozenset(mounts.partitions(self.root.top, place))

    @cached_property
    def boot_id(self) -> str:
        """The id of the running system's boot, "" for a mounted image."""
        try:
            with open("/proc/sys/kernel/random/boot_id") as file:
                return file.read().strip().replace("-", "") if self.live else ""
        except OSError:
            return ""

    def of_former_boot(self, path: str) -> bool:
        """True for a service's private /tmp (systemd.exec(5)) whose service no longer runs."""
        found = re.search("/systemd-private-([0-9a-f]{32})-[^/]*$", path)
        return found is not None and found[1] != self.boot_id

    def owns(self, path: str) -> bool:
        """True when PATH is something this run has put aside and will remove itself."""
        return self._scratch.owns(path)

    @once
    def os_release(self) -> OsRelease:
        """What the image says it is. Raises Undecided without a readable os-release."""
        return os_release.read(self.root)

    @property
    def release(self) -> Release | None:
        """The release in the table of known ones, whether the profile accepts it or not."""
        found = self.os_release
        return find(found.id, found.version_id or "", found.pretty_name)

    @once
    def accounts(self) -> Accounts:
        """Every account. Raises Undecided without a usable /etc/passwd."""
        return accounts.read(self.root)

    @once
    def password_files(self) -> PasswordFiles:
        """Passwords that belong to no account: of groups, and in copies of the files."""
        return PasswordFiles(self.root)

    @once
    def sudoers(self) -> tuple[sudoers.Grant, ...]:
        """Who may run everything as root without a password."""
        return sudoers.read(self.root)

    @once
    def firewalls(self) -> tuple[Firewall, ...]:
        """Every firewall that is installed, whether it comes up at boot or not."""
        return firewall.read(self.root, self.units, self.ssh_ports)

    @property
    def firewall_advice(self) -> str:
        """The command that installs and enables this distribution's usual firewall."""
        if {"debian", "ubuntu"} & set(self.os_release.ids):
            allow = firewall.allow_ssh(self.ssh_ports)
            return f"{self.advice('install', 'ufw')} && {allow}ufw --force enable"
        if self.units.sysv:
            return (f"{self.advice('install', 'iptables')}, write /etc/sysconfig/iptables, then: "
                    "chkconfig iptables on")
        return f"{self.advice('install', 'firewalld')} && systemctl enable --now firewalld"

    @once
    def ssh_ports(self) -> tuple[int, ...]:
        """TCP ports on which the OpenSSH server listens; none without a server."""
        try:
            return firewall.ssh.ports(self.root, self.units, self.sshd)
        except Skip:
            return ()

    @once
    def homes(self) -> tuple[Home, ...]:
        """Every home that exists, each once, with /root and /etc/skel (what new homes get).

        Those of accounts that are gone come last: their keys are in the image as well.
        """
        return tuple(_homes(self.root, self.accounts))

    @once
    def units(self) -> units.Units:
        """Which services start at boot."""
        return units.Units(self.root)

    @once
    def sshd(self) -> sshd.SshdConfig:
        """The OpenSSH server's configuration. Raises Skip without a server's configuration."""
        return sshd.read(self.root)

    @once
    def ssh_access(self) -> ssh_access.Access:
        """Who can log in to a clone over SSH. Raises Skip without a server's configuration."""
        return ssh_access.Access(self.root, self.sshd, self.accounts, self.cloud, self.units,
                                 self.ssh_ports)

    @once
    def on_boot(self) -> onboot.OnBoot:
        """What runs when a clone boots for the first time."""
        return onboot.OnBoot(self.root, self.cloud, self.units)

    @once
    def ssh_store(self) -> ssh_store.Store:
        """What accounts keep for SSH: keys above all, wherever the server looks for them."""
        config, trouble = None, ""
        try:
            config = self.sshd
        except Skip:
            pass
        except Undecided as undecided:  # must not hide what lies in the homes
            trouble = str(undecided)
        names = frozenset(name for account in self.accounts.all
                          for name in (account.name, str(account.uid)))
        return ssh_store.Store(self.root, self.homes, config, self.volatile, trouble, names)

    @once
    def cloud(self) -> cloud.CloudInit:
        """cloud-init as configured and installed in the image."""
        return cloud.CloudInit(self.root)

    @property
    def services(self) -> services.Services:
        """Which services run just now; of a mounted image none does."""
        return services.Services(self.root, self.run, live=self.live)

    def in_use(self, path: str) -> bool:
        """True when a running process uses PATH of the image, or anything below it."""
        return path in self._in_use

    @once
    def _in_use(self) -> frozenset[str]:
        used = set()
        for path in inuse.paths(self.root.top):
            while path not in used:  # up to the root
                used.add(path)
                path = os.path.dirname(path)
        return frozenset(used)

    @once
    def no_cloud_init(self) -> str | None:
        """Why cloud-init would not run on a clone, None when it will."""
        if not self.cloud.program:
            return "cloud-init is not installed"
        return next((obstacle.message for obstacle in self.cloud.obstacles()), None)

    @once
    def no_host_keys(self) -> str | None:
        """Why a clone would have no SSH host keys, None when something makes them."""
        return host_keys.hindrance(self.root, self.cloud, self.units, self.no_cloud_init)

    @once
    def boot(self) -> boot.Boot:
        """Kernels, their command lines and fstab."""
        return boot.Boot(self.root)

    @once
    def first_login(self) -> tuple[bashrc.Hook, ...]:
        """Programs that root's .bashrc starts at the first login."""
        return bashrc.read(self.root)

    @once
    def secrets(self) -> scan.Scan:
        """Tokens and private keys in the files of the image, told by their own form."""
        return scan.read(self.root, [home.path for home in self.homes], self.volatile, self._public,
                         self.partitions)

    def _public(self, paths: Sequence[str]) -> frozenset[str]:
        """Those of PATHS that anybody can download: as a package brought them."""
        try:
            return self.packages.unmodified(paths)
        except Undecided:  # checks of packages say so; nothing is taken for public then
            return frozenset()

    def script(self, path: str) -> scripts.Script | None:
        """The script at PATH and what keeps it from running; None when there is nothing."""
        return scripts.read(self.root, path)

    @property
    def index_time(self) -> str | None:
        """Age of the package indexes, if a check has asked for updates; never waits."""
        manager = once.peek(self, "packages")
        updates = manager and once.peek(manager, "updates")
        return updates.index_time if updates else None

    @once
    def packages(self) -> packages.PackageManager:
        """The package manager. Raises Undecided when none is known for the distribution."""
        return packages.select(self.os_release.ids, self.root, self.run, self._scratch,
                               refresh=self.refresh)

    def clean_command(self, cleaner: str, how: str = "--yes") -> str:
        """The command that has CLEANER mend it, in the image and not where that is mounted."""
        image = "" if self.live else f"--root {shlex.quote(self.root.top)} "
        return f"img-clean {image}{how} --only {cleaner}"

    def advice(self, verb: str, *names: str) -> str:
        """The command that mends it here; see PackageManager.advice for VERB."""
        try:
            return self.packages.advice(verb, *names)
        except Undecided:
            return " ".join(["with this system's package manager:", verb, *names])


def _homes(root: RootFS, known: Accounts) -> Iterator[Home]:
    seen: set[str] = set()
    pairs = [(account.home, account.name) for account in known.all]
    for home, name in [("/root", "root"), *pairs, ("/etc/skel", "skel")]:
        try:
            path = root.resolve(home)
        except LinkLoop:
            continue  # nothing can lie there
        if path not in seen and home.startswith("/") and root.is_dir(path):
            seen.add(path)
            yield Home(path, name)
    seen.update([path[:end] for path in seen for end, char in enumerate(path) if char == "/"])
    for entry in root.glob("/home/*"):  # `userdel` without -r leaves a home, and all that is in it
        if entry.is_dir and entry.path not in seen and root.listdir(entry.path):
            yield Home(entry.path, entry.path.rpartition("/")[2], deserted=True)
