"""Every file system in /etc/fstab exists on a clone

A file system that is not there stops the boot in emergency mode, out of reach, unless its line says
nofail. A clone has the disk of the snapshot and nothing else: no volume that was attached to the
build machine, and no /dev/sda. Looked at is each line: devices, UUIDs and labels (these on the live
system alone, where the kernel knows them), swap files, bind mounts, network file systems.

Remove the line, or add nofail to its options.
"""

import os
import re
from collections.abc import Iterator

import psutil

from img_tools.host import Host
from img_tools.model import Finding, Undecided, fail, warn

CATEGORY = "boot"
REFERENCES = ("fstab(5)", "systemd.mount(5)")

PATH = "/etc/fstab"
VIRTUAL = frozenset({
    "proc", "sysfs", "tmpfs", "ramfs", "devpts", "devtmpfs", "cgroup", "cgroup2", "debugfs",
    "tracefs", "securityfs", "mqueue", "hugetlbfs", "configfs", "bpf", "binfmt_misc", "overlay",
    "efivarfs", "zfs",
})
NETWORK = re.compile(r"(nfs4?|cifs|smb3|ceph|glusterfs|9p|virtiofs|fuse\.\w+|davfs)$")
TAGS = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid",
        "PARTLABEL": "by-partlabel"}
VOLUME = re.compile(r"/dev/disk/by-id/scsi-0DO_Volume_|/dev/(sd|hd|xvd)[a-z]|/dev/vd[b-z]")
DISK = re.compile(r"((?:vd|sd|hd|xvd)[a-z]+|nvme[0-9]+n[0-9]+|mmcblk[0-9]+)")
CONFIG_DRIVE = ("config-2", "CONFIG-2")  # a Droplet has it


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
            what = _trouble(host, mount.spec, mount.target, mount.fstype, mount.options)
        except Undecided as failed:
            undecided = failed
            continue
        if what is None:
            continue
        spec = re.sub(r"//[^/@]*@", "//", mount.spec)  # a name and a password
        soft = mount.fstype == "swap" or what.startswith("is on the network")
        yield (warn if soft else fail)(
            "swap" if mount.fstype == "swap" else "network" if soft else "missing",
            f"line {mount.line} of {PATH}: {spec} {what}"
            + ("" if soft else f", and {mount.target} is needed to boot"),
            path=PATH, line=mount.line, evidence={"spec": spec, "target": mount.target},
            fix=f"remove line {mount.line} of {PATH}, or add nofail to its options")
    if undecided:
        raise undecided


def _trouble(
    host: Host, spec: str, target: str, fstype: str, options: frozenset[str]
) -> str | None:
    """What a clone lacks of this line, None for nothing."""
    if NETWORK.match(fstype) or "_netdev" in options or re.match(r"//|[\w.-]+:/", spec):
        return "is on the network of the build machine, and a clone waits for it at boot"
    if VOLUME.match(spec) or target.startswith("/mnt/volume_"):
        return "is a disk that a clone does not have: a Droplet's own is /dev/vda"
    name, _, value = spec.partition("=")
    if name in TAGS:
        return _device(host, f"/dev/disk/{TAGS[name]}/{value}")
    if spec.startswith("/dev/"):
        return _device(host, spec)
    if spec.startswith("/"):
        return None if host.root.exists(spec) else "is not there"
    return None


def _device(host: Host, path: str) -> str | None:
    """What a clone lacks of the device PATH; a mounted tree cannot tell and gives None."""
    if not host.live or path.startswith(("/dev/mapper/", "/dev/md")):
        return None
    directory, name = os.path.split(path)
    if directory.startswith("/dev/disk/"):
        if not host.root.is_dir("/dev/disk"):
            raise Undecided("there is no /dev/disk, so UUIDs and labels cannot be looked up: "
                            "run it on the system itself, not in a container")
        wanted = _udev(name).lower()
        name = next((known for known in host.root.listdir(directory) if known.lower() == wanted),
                    name)
    device = host.root.resolve(f"{directory}/{name}")
    if host.root.stat(device) is None:
        return "is not there"
    disk, root = DISK.match(os.path.basename(device)), DISK.match(_root_device())
    if disk and root and disk[1] != root[1] and name not in CONFIG_DRIVE:
        return f"is on {disk[1]}, a disk that is not part of the snapshot"
    return None


def _root_device() -> str:
    return next((os.path.basename(part.device) for part in psutil.disk_partitions()
                 if part.mountpoint == "/"), "")


def _udev(name: str) -> str:
    r"""NAME as udev writes it in /dev/disk/by-*: a blank is \x20."""
    return re.sub(r"[^\w#+\-.:=@]", lambda match: "".join(
        f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogateescape")), name)
