"""A hostile tree: the right verdict or `error` with a reason, soon, and nothing given away."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.rootfs import running
from tests.rootfs.clean import clean
from tests.rootfs.conftest import Tree
from tests.rootfs.planting import Device, Socket, place, plant
from tests.rootfs.running import Checked
from tests.rootfs.trees import manifest
from tests.support import Fifo, File, Link

# Without these there is no verdict ...
VITAL = {
    "passwd": ("/etc/passwd",),
    "os-release": ("/etc/os-release", "/usr/lib/os-release"),
    "dpkg": ("/var/lib/dpkg/status",),
}
# ... and these are looked into by some check or other.
FILES = (
    "/etc/shadow", "/etc/group", "/etc/gshadow", "/etc/passwd-", "/etc/shadow-",
    "/etc/sudoers", "/etc/sudoers.d/90-x", "/etc/machine-id", "/var/lib/dbus/machine-id",
    "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/x.conf", "/etc/ssh/ssh_host_rsa_key",
    "/root/.bash_history", "/root/.ssh/authorized_keys", "/root/.ssh/id_rsa",
    "/root/.ssh/known_hosts", "/root/.bashrc", "/root/.netrc", "/root/.aws/credentials",
    "/root/.docker/config.json", "/root/.digitalocean_passwords", "/root/.gitconfig",
    "/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d/x.cfg", "/etc/cloud/cloud-init.disabled",
    "/var/lib/cloud/scripts/per-instance/x", "/var/lib/cloud/instance/user-data.txt",
    "/etc/update-motd.d/99-x", "/etc/apt/sources.list", "/etc/apt/sources.list.d/x.list",
    "/etc/apt/sources.list.d/x.sources", "/etc/apt/preferences", "/etc/apt/apt.conf.d/x",
    "/var/lib/apt/extended_states", "/etc/ufw/ufw.conf", "/etc/ufw/user.rules",
    "/etc/nftables.conf", "/etc/iptables/rules.v4", "/etc/docker/daemon.json",
    "/etc/netplan/x.yaml", "/etc/network/interfaces", "/etc/network/interfaces.d/x",
    "/etc/fstab", "/etc/crontab", "/etc/cron.d/x", "/var/spool/cron/crontabs/root",
    "/var/mail/root", "/var/crash/x.crash", "/var/lib/systemd/random-seed", "/swapfile",
    "/var/log/auth.log", "/var/log/x.log.1.gz", "/var/log/wtmp", "/tmp/x", "/var/tmp/x",
    "/var/lib/dhcp/dhclient.leases", "/etc/default/locale", "/etc/hostname", "/etc/resolv.conf",
    "/etc/rsyslog.conf", "/etc/rsyslog.d/x.conf", "/srv/app/.env", "/srv/app/.git/config",
    "/var/www/wp-config.php", "/boot/vmlinuz-x", "/etc/systemd/system/ssh.service",
    "/etc/default/grub", "/etc/kernel/cmdline", "/etc/profile.d/x.sh",
)
DIRECTORIES = (
    "/root/.ssh", "/etc/ssh/sshd_config.d", "/etc/cloud/cloud.cfg.d", "/etc/sudoers.d",
    "/var/lib/cloud/scripts/per-instance", "/etc/update-motd.d", "/etc/apt/sources.list.d",
    "/etc/cron.d", "/var/spool/cron/crontabs", "/var/log", "/tmp", "/var/tmp", "/home",
    "/opt", "/srv", "/var/lib/dhcp", "/etc/network/interfaces.d", "/var/lib/cloud/instances",
    "/etc/systemd/system", "/boot",
)

KINDS: Mapping[str, object] = {
    "nothing": None,
    "empty": "",
    "fifo": Fifo(),
    "socket": Socket(),
    "device": Device(),
    "directory": {},
    "loop": Link("/etc/loop-a"),
    "absolute-link": Link("/nowhere/at/all"),
    "to-a-device": Link("/dev/zero"),
    "huge": File("x\n", size=1 << 30),  # sparse
    "binary": bytes(range(256)) * 64,
    "nul": "\0" * 4096,
    "one-long-line": "a" * (1 << 21),
    "deep-brackets": "[" * 100_000,
    "many-lines": "x: {}\n" * 200_000,
    "unreadable": File("x\n", mode=0),
}


APT = frozenset({"package-state", "package-updates", "repositories", "security-updates"})
TIMEOUT = "60"  # seconds; a check takes one, on a machine with nothing else to do


def survives(tree: Path, *args: str, waits: frozenset[str] = frozenset()) -> Checked:
    """The outcome on TREE; every error must have a reason, and but for WAITS not the clock."""
    outcome = running.check(tree, "--no-refresh", "--timeout", TIMEOUT, *args)
    for result in outcome.report["checks"]:
        if result["status"] in ("error", "skip"):
            assert result["message"], result
            assert result["id"] in waits or "took longer" not in result["message"], result
    return outcome


@pytest.mark.parametrize("kind", KINDS)
def test_something_else_where_a_file_is_expected(tree: Tree, kind: str) -> None:
    top = tree("bookworm")
    place(top, "/etc/loop-a", Link("loop-a"))
    plant(top, dict.fromkeys(FILES, KINDS[kind]))
    # apt itself waits for whoever writes into a FIFO in its configuration; only the clock helps.
    survives(top, waits=APT if kind == "fifo" else frozenset())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "directory"])
def test_something_else_where_a_directory_is_expected(tree: Tree, kind: str) -> None:
    top = tree("bookworm")
    place(top, "/etc/loop-a", Link("loop-a"))
    plant(top, dict.fromkeys(DIRECTORIES, KINDS[kind]))
    survives(top)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "unreadable"])
@pytest.mark.parametrize("name", VITAL)
def test_no_verdict_without_a_vital_file(tree: Tree, name: str, kind: str) -> None:
    """Root reads what is "unreadable"; a file of one line "x" is "binary" enough."""
    top = clean(tree("bookworm"))
    place(top, "/etc/loop-a", Link("loop-a"))
    plant(top, dict.fromkeys(VITAL[name], KINDS[kind]))
    assert survives(top).report["verdict"] in ("error", "fail")


# -- accounts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [
    "mallory", "mallory:x:0", "mallory:x:zero:0::/root:/bin/sh", ":x:0:0::/root:/bin/sh",
    "mallory:x:-1:0::/root:/bin/sh", "mallory:x:0:0::/root:/bin/sh:more",
    "mallory:x:99999999999:0::/root:/bin/sh", "mal\udcfflory:x:0:0::/root:/bin/sh",
    "mallory:x:0:0::relative:/bin/sh", "mallory:x:0:0::/root/../../../..:/bin/sh",
    "mallory:x:\u0663:0::/root:/bin/sh",  # a digit, but not an ASCII one
])
def test_a_malformed_account_is_never_a_clean_bill(tree: Tree, line: str) -> None:
    top = clean(tree("bookworm"))
    with open(top / "etc/passwd", "a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(line + "\n")
    outcome = survives(top)
    assert {outcome.of(name)["status"] for name in ("accounts", "passwords")} != {"pass"}


def test_ten_thousand_accounts(tree: Tree) -> None:
    top = clean(tree("bookworm"))
    with open(top / "etc/passwd", "a") as passwd, open(top / "etc/shadow", "a") as shadow:
        for number in range(10_000):
            home = top / f"home/u{number}"
            home.mkdir()
            passwd.write(f"u{number}:x:{number + 2000}:100::/home/u{number}:/bin/bash\n")
            shadow.write(f"u{number}:!:20000:0:99999:7:::\n")
    (top / "home/u7777/.bash_history").write_text("ls\n")
    outcome = survives(top)
    (finding,) = outcome.of("shell-history")["findings"]
    assert (finding["path"], finding["account"]) == ("/home/u7777/.bash_history", "u7777")
    assert [result for result in outcome.report["checks"] if result["status"] == "error"] == []


# -- nothing outside the tree is seen or touched -------------------------------------------------

CANARY = "canary-5b1c0f"


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
@pytest.mark.parametrize("places", [FILES, DIRECTORIES, sum(VITAL.values(), ())],
                         ids=["files", "directories", "vital"])
def test_links_do_not_lead_out(
    tree: Tree, tmp_path: Path, places: tuple[str, ...], relative: bool
) -> None:
    outside = tmp_path / "outside"
    for name in {*FILES, *(f"{name}/x" for name in DIRECTORIES), *VITAL["passwd"]}:
        path = outside / name.strip("/")
        if path.is_dir() or any(above.is_file() for above in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{CANARY}:{CANARY}:0:0:{CANARY}:/root:/bin/sh\n")
    before = manifest(outside)
    files = [path for path in outside.rglob("*") if path.is_file()]
    for path in files:
        os.utime(path, ns=(0, path.stat().st_mtime_ns))  # so that the next reading shows (relatime)
    top = tree("bookworm")
    way_out = "../" * 40 if relative else "/"
    plant(top, {name: Link(f"{way_out}{outside}{name}".replace("//", "/")) for name in places})
    command = running.outside(top, "--no-refresh", "-v")
    for form in ("text", "json"):
        assert CANARY not in running.output([*command, "--format", form])
    assert [path for path in files if path.stat().st_atime] == []
    assert manifest(outside) == before
