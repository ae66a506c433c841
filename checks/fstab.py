"""Every file system in /etc/fstab exists on a clone

A file system that is not there stops the boot in emergency mode, out of reach, unless its line says
nofail. A clone has the disk of the snapshot and nothing else: no volume that was attached to the
build machine, and no /dev/sda. Looked at is each line: devices, UUIDs and labels (these on the live
system alone, where the kernel knows them), swap files, bind mounts, network file systems.

Remove the line, or add nofail to its options.
"""

import re
from collections.abc import Iterator
from posixpath import basename

import psutil

from img_tools.host import Host, Mount
from img_tools.model import Finding, Undecided, fail, warn

CATEGORY = "boot"
CODES = ("malformed", "missing", "network", "not-told", "swap")
REFERENCES = ("fstab(5)", "systemd.mount(5)")

PATH = "/etc/fstab"
VIRTUAL = frozenset({
    "proc", "sysfs", "tmpfs", "ramfs", "devpts", "devtmpfs", "cgroup", "cgroup2", "debugfs",
    "tracefs", "securityfs", "mqueue", "hugetlbfs", "configfs", "bpf", "binfmt_misc", "overlay",
    "efivarfs", "zfs",
})
NETWORK = re.compile(r"(nfs4?|cifs|smb3|ceph|glusterfs|9p|virtiofs|fuse\.\w+|davfs)$")
REMOTE = re.compile(r"//|[\w.-]+:/")
VOLUME = re.compile(r"/dev/disk/by-id/scsi-0DO_Volume_|/dev/(sd|hd|xvd)[a-z]|/dev/vd[b-z]")
DISK = re.compile(r"((?:vd|sd|hd|xvd)[a-z]+|nvme[0-9]+n[0-9]+|mmcblk[0-9]+)")
CONFIG_DRIVE = "/dev/disk/by-label/config-2"  # a Droplet has it


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every line that names what a clone lacks."""
    undecided: Undecided | None = None
    for mount in host.boot.fstab:
        if not mount.target or not mount.fstype:
            yield warn("malformed", f"line {mount.line} of {PATH} has fewer than three fields",
                       path=PATH, line=mount.line, fix=f"correct line {mount.line} of {PATH}")
            continue
        if mount.options & {"noauto", "nofail", "x-systemd.automount"} or mount.fstype in VIRTUAL:
            continue
        try:
            what = _trouble(host, mount)
        except Undecided as failed:
            undecided = failed
            continue
        if what is None:
            if _untold(host, mount):
                yield warn("not-told", f"line {mount.line} of {PATH}: whether a clone has the "
                           f"disk of {mount.target} cannot be told with --root",
                           path=PATH, line=mount.line, evidence={"target": mount.target},
                           fix="run img-check on the machine itself, or add nofail to the line "
                           f"of {mount.target}")
            continue
        spec = re.sub(r"//[^/@]*@", "//", mount.spec)  # a name and a password
        soft = mount.fstype == "swap" or what.startswith("is on the network")
        yield (warn if soft else fail)(
            "swap" if mount.fstype == "swap" else "network" if soft else "missing",
            f"line {mount.line} of {PATH}: {spec} {what}"
            + ("" if soft else f", and {mount.target} is needed to boot"),
            path=PATH, line=mount.line, evidence={"spec": spec, "target": mount.target},
            fix=f"remove the line of {mount.target} from {PATH}, or add nofail to its options")
    if undecided:
        raise undecided


def _trouble(host: Host, mount: Mount) -> str | None:
    """What a clone lacks of this line, None for nothing."""
    spec = mount.spec
    if NETWORK.match(mount.fstype) or "_netdev" in mount.options or REMOTE.match(spec):
        return "is on the network of the build machine, and a clone waits for it at boot"
    if VOLUME.match(spec) or mount.target.startswith("/mnt/volume_"):
        return "is a disk that a clone does not have: a Droplet's own is /dev/vda"
    if mount.device:
        return _device(host, mount.device)
    return "is not there" if spec.startswith("/") and not host.root.exists(spec) else None


def _untold(host: Host, mount: Mount) -> bool:
    """True for a data disk: what the image itself boots from lies on the disk that is cloned."""
    own = mount.target in ("/", "/boot", "/boot/efi", "/efi") or mount.fstype == "swap"
    named = bool(mount.device) and str(mount.device).startswith("/dev/disk/")  # by UUID, by label
    return named and not host.live and not own


def _device(host: Host, path: str) -> str | None:
    """What a clone lacks of the device PATH; a mounted tree cannot tell and gives None."""
    if not host.live or path.startswith(("/dev/mapper/", "/dev/md")):
        return None
    node = host.boot.device_node(path)
    if node is None:
        return "is not there"
    disk, root = DISK.match(basename(node)), DISK.match(_root_device())
    if disk and root and disk[1] != root[1] and path.lower() != CONFIG_DRIVE:
        return f"is on {disk[1]}, a disk that is not part of the snapshot"
    return None


def _root_device() -> str:
    return next((basename(part.device) for part in psutil.disk_partitions()
                 if part.mountpoint == "/"), "")
