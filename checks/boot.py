"""The image boots: kernel, boot parameters and target are in order

Looked at are the kernels in /boot, the newest with its initial RAM disk; whether the newest is the
one that runs (on the live system), since what was never booted may not boot; parameters left over
from a rescue or an installation, such as init=/bin/bash; and the systemd target. The file systems
are the check fstab's, /etc/machine-id is machine-id's, whether cloud-init runs cloud-init's.

Correct what a finding names and boot once more before you take the snapshot.
"""

import os
import re
from collections.abc import Iterator

from img_tools.host import Host
from img_tools.model import Finding, fail, warn

CATEGORY = "boot"
CODES = ("kernel-parameter", "no-initrd", "no-kernel", "no-target", "not-running", "rescue-target")
REFERENCES = (
    "bootup(7)",
    "kernel-command-line(7)",
)

INITS = frozenset({"/sbin/init", "/usr/sbin/init", "/bin/init", "/lib/systemd/systemd",
                   "/usr/lib/systemd/systemd", "/bin/systemd"})
RESCUE = frozenset({"single", "S", "s", "1", "-b", "emergency", "rescue", "rd.break",
                    "rd.emergency", "systemd.debug-shell", "systemd.debug-shell=1",
                    "systemd.debug_shell", "systemd.debug_shell=1"})
UNIT_DIRS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for everything that would keep a clone from booting."""
    yield from _kernels(host)
    yield from _parameters(host)
    if any(host.root.is_dir(path) for path in UNIT_DIRS[1:]):
        yield from _target(host)


def _kernels(host: Host) -> Iterator[Finding]:
    kernels = host.boot.kernels
    if not kernels:
        report = fail if host.live else warn  # a mounted tree may come without its /boot
        yield report("no-kernel", "there is no kernel in /boot", path="/boot",
                     fix="install a kernel (or mount the image's /boot too)")
        return
    newest = kernels[-1]
    if newest.initrd is None:
        debian = host.root.exists("/usr/sbin/update-initramfs")
        yield fail("no-initrd", f"{newest.path} has no initial RAM disk, or an empty one",
                   path=newest.path, fix=f"update-initramfs -c -k {newest.release}" if debian
                   else f"dracut --force --kver {newest.release}")
    running = os.uname().release if host.live else newest.release
    if _numbers(newest.release) != _numbers(running):
        yield warn("not-running", f"the newest kernel is {newest.release}, but {running} runs: the "
                   "image has never booted as its clones will", path=newest.path,
                   evidence={"running": running, "newest": newest.release}, fix="reboot")


def _numbers(release: str) -> list[str]:
    """The version without the flavour: 6.1.0-20-cloud-amd64 is no newer than 6.1.0-20-amd64."""
    return re.findall(r"[0-9]+", re.sub(r"(amd|arm|i|x|x86_)[0-9]+$", "", release))


def _parameters(host: Host) -> Iterator[Finding]:
    for found in host.boot.command_lines:
        for word in found.words:
            init = word.removeprefix("init=") if word.startswith("init=") else ""
            unit = word.partition("systemd.unit=")[2]
            name = word.partition("=")[0]  # a value may hold a password
            if word in RESCUE or unit.startswith(("rescue", "emergency")) or word.startswith(
                    ("inst.", "preseed/", "autoinstall")) or (init and init not in INITS):
                yield fail("kernel-parameter", f"{found.path} line {found.line} starts the kernel "
                           f"with {name}, which is for rescue or installation",
                           path=found.path, line=found.line, fix=host.boot.removal(name))


def _target(host: Host) -> Iterator[Finding]:
    """What counts is the name that the link ends in, wherever the unit of that name lies."""
    path = host.units.file("default.target")
    name = os.path.basename(host.root.resolve(path)) if path else ""
    fix = "systemctl set-default multi-user.target"
    if path is None or (name != "null" and host.units.file(name) is None):
        yield fail("no-target", "default.target leads nowhere: the system does not know what to "
                   "start", path=path or UNIT_DIRS[0] + "/default.target", fix=fix)
    elif name in ("null", "rescue.target", "emergency.target"):
        yield fail("rescue-target", f"{path} starts {name}, where nobody can log in from outside",
                   path=path, fix=fix)
