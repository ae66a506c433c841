"""Everything the catalogue knows is planted on every release; one run of img-clean takes it away,
and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from img_tools.catalogue import CATALOGUE, Treat
from tests.rootfs import dirt, trees
from tests.rootfs.clean import chroot, clean
from tests.rootfs.conftest import Tree
from tests.rootfs.dirt import failures, holds, img_clean, inode, planned, remarks
from tests.rootfs.planting import Add, plant
from tests.support import File, Link

# What img-check says of the trees of these tests, cleaned: they have two people, and no kernel.
EXPLAINED = {"accounts": ["person"], "boot": ["no-kernel"]}
ENDED = {"bullseye": {"os-lifecycle": ["end-of-life"]}}  # since 2026-08-31
TOPICS = {row.topic for row in CATALOGUE if row.treat is not Treat.REPORT}

# What cleaning changes besides: where accounts, packages and apt's own state are kept.
MEANT = (
    "/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow", "/etc/subuid", "/etc/subgid",
    "/etc/.pwd.lock", "/var/cache/apt/", "/var/lib/apt/", "/var/lib/dpkg/", "/var/log/apt/",
    "/var/log/dpkg.log", "/etc/machine-id",
)


def test_all_that_is_planted_goes_and_img_check_passes(
    tree: Tree, suite: str, tmp_path: Path
) -> None:
    """Cleanup defects 1, 2, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 19: all of it is planted at once.

    Residues of every row, keys, password files, the agent's package, updates that are pending.

    Among what cleanup.sh leaves: security updates that need new packages, other users' keys and
    histories, copies of the password files, cloud-init's semaphores, the agent, /etc/machine-id.
    """
    top = tree(suite, "stale")
    plant(top, {
        "/etc/apt/sources.list": Add(f"deb {trees.SECURITY} {suite}-security main\n"),
        "/etc/resolv.conf": Path("/etc/resolv.conf").read_text()})
    clean(top)
    audit = chroot(top, "dpkg", "--audit")
    dirt.soil(top, tmp_path)

    # `quiet` is about a running system, `final` about what was written meanwhile.
    assert TOPICS | {"package-upgrade", "accounts", "ssh-keys"} <= {*planned(top)}
    report = img_clean(top, "--yes", "--check")
    assert failures(report) == {}
    assert remarks(report) == EXPLAINED | ENDED.get(suite, {})
    assert report["exit_code"] == 0

    assert planned(top) == []
    assert chroot(top, "dpkg", "--audit") == audit
    assert "Inst " not in chroot(top, "apt-get", "-s", "dist-upgrade")
    planted = {**dirt.residue_files(), **dirt.TRACES}
    assert len(planted) > 250
    assert [path for path in planted if holds(top, path)] == []
    assert "do-agent" not in (top / "etc/passwd").read_text()


def open_logs(tree: Path) -> dict[Path, tuple[int, ...]]:
    """A log directory as nginx has it, and others' logs, with what must not change of them."""
    plant(tree, {"/var/log/nginx/access.log": File("GET /", mode=0o640),
                 "/var/log/nginx/error.log": File("x", mode=0o640),
                 "/var/log/auth.log": File("x", mode=0o640),
                 "/var/log/cloud-init.log": "x", "/var/log/btmp": File("x", mode=0o660)})
    for path in (tree / "var/log/nginx", *(tree / "var/log/nginx").iterdir()):
        os.chown(path, 33, 4)
    os.chown(tree / "var/log/btmp", 0, 43)
    os.utime(tree / "var/log/auth.log", (0, 0))
    return {path: inode(path) for path in (
        tree / "var/log/nginx", *(tree / "var/log/nginx").glob("*.log"), tree / "var/log/auth.log",
        tree / "var/log/cloud-init.log", tree / "var/log/btmp")}


def test_nothing_else_changes(tree: Tree, suite: str, tmp_path: Path) -> None:
    """Mode, owner, size, time, content and attributes of all that is no leftover stay.

    cleanup.sh empties only logs of the last day, leaves rotated ones in directories, and takes
    cloud-init.log and the directory unattended-upgrades for old logs.
    """
    top = clean(tree(suite))
    before = trees.manifest(top)
    dirt.soil(top, tmp_path)
    plant(top, {"/var/log/unattended-upgrades/u.log": "x", "/var/log/nginx/access.log.2.gz": "x",
                "/etc/ssh/authorized_keys/anna": "x", "/etc/ssh/trusted_user_ca_keys": "x",
                "/etc/ssh/revoked_keys": File("", mode=0o600)})
    logs = open_logs(top)
    vendors = [*dirt.PAYLOAD, "/etc/ssh/trusted_user_ca_keys", "/etc/ssh/revoked_keys"]
    for name in vendors:
        path = os.fsencode(f"{top}{name}")
        os.chown(path, 1500, 33, follow_symlinks=False)
        os.utime(path, (1, 1), follow_symlinks=False)
    os.setxattr(f"{top}/opt/acme/bin/start", "user.acme", b"1")
    planted = trees.manifest(top)
    img_clean(top, "--yes", "--skip", "package-upgrade")
    after = trees.manifest(top)

    assert {path: inode(path) for path in logs} == logs
    assert [path for path in logs if path.is_file() and path.stat().st_size] == []
    assert (top / "var/log/unattended-upgrades").is_dir()
    assert not (top / "var/log/nginx/access.log.2.gz").exists()
    assert (top / "etc/machine-id").read_bytes() == b""
    assert not os.path.lexists(top / "var/lib/dbus/machine-id")
    for name in vendors:
        assert after[os.fsencode(name)] == planted[os.fsencode(name)], name
    emptied = {name for name in dirt.residue_files() if os.path.lexists(f"{top}{name}")}
    known = {*vendors, *emptied, *(str(path)[len(str(top)):] for path in logs),
             "/etc/ssh/authorized_keys/anna", "/var/log/unattended-upgrades/u.log",
             "/etc/security/opasswd"}
    unexplained = [line for line in trees.differences(dirt.files(before), dirt.files(after))
                   if not line.startswith(MEANT) and line.partition(": ")[0] not in known]
    assert unexplained == []
    assert not any(holds(top, name) for name in emptied)


def test_links_out_of_the_image_are_not_followed(tree: Tree, tmp_path: Path) -> None:
    """Links to absolute places and up and out of the tree lead nowhere else."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "log").write_text("mine")
    (outside / ".bash_history").write_text("mine")
    top = tree("bookworm")
    hosts = ("/etc/hostname", "/etc/passwd")
    mine = trees.manifest(outside), [os.stat(path) for path in hosts]
    plant(top, {"/var/log/x.log": Link(f"{outside}/log"), "/var/log/up": Link("../" * 30 + "etc"),
                "/tmp/d": Link(str(outside)), "/tmp/root": Link("/"),
                "/root/.bash_history": Link(f"{outside}/.bash_history"),
                "/var/crash": Link(str(outside)), "/var/lib/cloud/instances": Link(str(outside)),
                "/var/mail": Link(str(outside)), "/root/.ssh": Link("/etc")})
    img_clean(top, "--yes", "--skip", dirt.PACKAGES, codes=(0, 1))
    assert (trees.manifest(outside), [os.stat(path) for path in hosts]) == mine
    assert not os.path.lexists(top / "tmp/d")
    assert (top / "etc/passwd").exists()
