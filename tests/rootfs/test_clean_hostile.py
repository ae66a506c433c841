"""img-clean on trees that somebody prepared against it, and while somebody changes them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import BASE
from tests.rootfs import dirt, trees
from tests.rootfs.clean import clean
from tests.rootfs.conftest import Tree
from tests.rootfs.dirt import failures, img_clean
from tests.rootfs.planting import Add, Device, Socket, plant, remove
from tests.support import Fifo, Link

OFFLINE = ("--yes", "--skip", dirt.PACKAGES)
CANARY = "do not touch\n"
USERS = ("mallory:x:1600:1600::/home/mallory:/bin/bash\nnorma:x:1601:1601::/home/norma:/bin/bash\n"
         "rooty:x:1602:1602::/:/bin/bash\netcy:x:1603:1603::/etc:/bin/bash\n"
         "dotty:x:1604:1604::/home/mallory/../../etc:/bin/bash\n")
OTHERS: dict[str, object] = {  # what mallory's links lead to and would be removed at home
    "/home/norma/keep": CANARY, "/home/norma/.config/fish/other": CANARY,
    "/opt/acme/.ssh/id_ed25519": CANARY, "/opt/acme/history": CANARY, "/opt/acme/x.log.1": CANARY,
    "/opt/acme/data/deep/x": CANARY, "/srv/x.gz": CANARY,
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Files of this machine, with names that are cleaned."""
    top = tmp_path / "outside"
    for name in ("history", "x.log.1", ".ssh/authorized_keys", "deep/x", "fish_history"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(CANARY)
    return top


def owned(top: Path, uid: int, files: Mapping[str, object]) -> None:
    """Plant FILES in TOP, as the account UID would have."""
    plant(top, files)
    for name in files:
        os.lchown(os.fsencode(f"{top}{name}"), uid, uid)


def test_links_at_home_and_in_tmp_lead_nowhere(tree: Tree, outside: Path) -> None:
    """To /, to /etc, to another's files, out of the image, to themselves; homes that are / too."""
    top = clean(tree("bookworm"))
    plant(top, {"/etc/passwd": Add(USERS), **OTHERS})
    before = trees.manifest(top), trees.manifest(outside)
    targets = {"root": "/", "etc": "/etc", "norma": "/home/norma", "out": str(outside),
               "up": "../" * 30 + str(outside)[1:], "self": "x", "acme": "/opt/acme",
               "passwd": "/etc/passwd", "none": "/nowhere"}
    places = ("/home/mallory/.ssh", "/home/mallory/.bash_history", "/home/mallory/.local/share",
              "/home/mallory/.mysqlsh", "/home/mallory/Maildir", "/tmp/x", "/var/tmp/x",
              "/tmp/.X11-unix", "/var/crash/x", "/var/mail/mallory")
    for target in targets.values():
        owned(top, 1600, {place: Link(target) for place in places})
        report = img_clean(top, *OFFLINE, codes=(0, 1))
        assert not os.path.lexists(top / "tmp/x")
        assert all(error for _, steps in failures(report).values() for _, error in steps)
    after = trees.manifest(top), trees.manifest(outside)
    for name in places:
        after[0].pop(os.fsencode(name), None)
    changed = [line for line in trees.differences(*map(dirt.files, (before[0], after[0])))
               if not line.startswith("/etc/machine-id: ")]
    assert changed == []
    assert before[1] == after[1]


EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)


@contextlib.contextmanager
def exchanging(*pairs: tuple[Path, Path]) -> Iterator[list[int]]:
    """Exchange each pair of names, over and over, while the block runs; gives how often."""
    libc = ctypes.CDLL(None, use_errno=True)
    done, count = threading.Event(), [0]

    def flip() -> None:
        while not done.is_set():
            for one, other in pairs:
                if libc.renameat2(-100, bytes(one), -100, bytes(other), EXCHANGE) == 0:
                    count[0] += 1

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield count
    finally:
        done.set()
        thread.join()


def test_directories_that_turn_into_links_lead_nowhere(tree: Tree, outside: Path) -> None:
    """Mallory exchanges directories and links, thousands of times, while img-clean works."""
    top = clean(tree("bookworm"))
    plant(top, {"/etc/passwd": Add(USERS), **OTHERS})
    before = trees.manifest(top), trees.manifest(outside)
    home = "/home/mallory"
    real: dict[str, object] = {
        f"{home}/.local/share/fish/fish_history": "x", f"{home}/.bash_history": "x",
        f"{home}/.ssh/id_ed25519": "x", f"{home}/.ssh/authorized_keys": "x", "/tmp/x/deep/x": "x",
        "/tmp/x/history": "x", "/var/tmp/y/x.log.1": "x", "/var/log/m/x.log.1": "x",
        "/var/log/m/history": "x"}
    links: dict[str, object] = {
        f"{home}/.l": Link(str(outside)),
        f"{home}/.b": Link(f"{outside}/history"), f"{home}/.s": Link("/opt/acme/.ssh"),
        "/tmp/z": Link("/opt/acme"), "/var/tmp/z": Link(str(outside)), "/var/log/n": Link("/srv")}
    pairs = [(f"{home}/.local", f"{home}/.l"), (f"{home}/.bash_history", f"{home}/.b"),
             (f"{home}/.ssh", f"{home}/.s"), ("/tmp/x", "/tmp/z"), ("/var/tmp/y", "/var/tmp/z"),
             ("/var/log/m", "/var/log/n")]
    flips = 0
    for _ in range(6):
        for name in (name for pair in pairs for name in pair):
            remove(os.fsencode(f"{top}{name}"))
        owned(top, 1600, real)
        owned(top, 1600, links)
        with exchanging(*((top / one[1:], top / other[1:]) for one, other in pairs)) as count:
            report = img_clean(top, *OFFLINE, codes=(0, 1))
        flips += count[0]
        assert "itself failed" not in str([result["message"] for result in report["cleaners"]])
    assert flips > 1000
    mine = {*real, *links}
    after = trees.manifest(top), trees.manifest(outside)
    changed = [line for line in trees.differences(*map(dirt.files, (before[0], after[0])))
               if not line.startswith(("/etc/machine-id: ", "/tmp/", "/var/tmp/", "/var/log/",
                                       f"{home}/")) and line.partition(": ")[0] not in mine]
    assert changed == []
    assert before[1] == after[1]


# -- what cannot be removed, and what is no file ---------------------------------------------------

REST: dict[str, object] = {"/tmp/rest": "x", "/var/log/rest.log": "x", "/root/.lesshst": "x"}


def rest_is_done(top: Path) -> bool:
    """Whether what lay beside the trouble was cleaned."""
    return (not (top / "tmp/rest").exists() and not (top / "root/.lesshst").exists()
            and (top / "var/log/rest.log").read_text() == "")


@pytest.mark.parametrize("what", [Fifo(), Socket(), Device(), Link("/nowhere"), {}])
def test_special_files_in_every_place_hang_nothing(tree: Tree, what: object) -> None:
    """A pipe, a socket, a device, a dangling link or a directory where each leftover would be."""
    top = clean(tree("bookworm"))
    places = [path for path in {**dirt.residue_files(), **dirt.TRACES}
              if not path.startswith(("/etc/passwd", "/etc/group", "/etc/gshadow", "/etc/shadow"))]
    plant(top, dict.fromkeys(places, what))
    plant(top, REST)
    report = img_clean(top, *OFFLINE, codes=(0, 1))
    assert rest_is_done(top)
    assert not os.path.lexists(top / "tmp/x")
    assert "itself failed" not in str([result["message"] for result in report["cleaners"]])


def test_names_that_are_no_text_go(tree: Tree) -> None:
    top = tree("bookworm")
    names = [b"\xff\xfe", b"new\nline", b"-rf", b"\x1b[31m", b"$(reboot)", b" ", b"x" * 255, b"*"]
    for place in ("tmp", "var/tmp", "var/log/x", "tmp/dir"):
        for name in names:
            (top / place).mkdir(exist_ok=True)
            (top / place / os.fsdecode(name + b".1"[: 255 - len(name)])).write_text("x")
    img_clean(top, *OFFLINE)
    assert os.listdir(top / "tmp") == os.listdir(top / "var/tmp") == []
    assert [path for path in (top / "var/log/x").iterdir() if path.stat().st_size] == []


def test_mounts_and_hard_links_stay_and_are_told(tree: Tree, outside: Path) -> None:
    """cleanup.sh's rm -rf goes through a bind mount, and its truncate through a hard link."""
    top = tree("bookworm")
    plant(top, {"/tmp/chroot/mnt/x": "x", "/tmp/chroot/rest": "x", "/tmp/whole": {},
                "/tmp/file": "x", "/srv/data": CANARY, "/var/log/app": {}, **REST})
    os.link(top / "srv/data", top / "var/log/app/app.log")
    mounts = [("tmp/chroot/mnt", outside), ("tmp/whole", outside),
              ("tmp/file", outside / "history")]
    before = trees.manifest(outside)
    with contextlib.ExitStack() as stack:
        for place, source in mounts:
            trees.mount("--bind", str(source), str(top / place))
            stack.callback(trees.unmount, top / place)
        report = img_clean(top, *OFFLINE, codes=(1,))
        assert trees.manifest(outside) == before
    failed = failures(report)
    assert {path for path, _ in failed["temp-files"][1]} == {
        "/tmp/chroot", "/tmp/whole", "/tmp/file"}
    assert [path for path, _ in failed["logs"][1]] == ["/var/log/app/app.log"]
    assert "has 2 names" in failed["logs"][1][0][1]
    assert (top / "srv/data").read_text() == CANARY
    assert not (top / "tmp/chroot/rest").exists()
    assert rest_is_done(top)


def test_what_is_of_this_machine_and_only_mounted_into_the_image_stays(
    tree: Tree, outside: Path
) -> None:
    """Who prepares a chroot may bind this machine's /tmp, apt cache or logs into it."""
    top = clean(tree("bookworm"))
    plant(top, {**REST, "/var/log/app.log": "x"})
    (outside / "x.deb").write_text(CANARY)
    before = trees.manifest(outside)
    only = "temp-files,package-cache,logs,shell-history"
    with contextlib.ExitStack() as stack:
        for place, source in (("tmp", outside), ("var/cache/apt/archives", outside),
                              ("var/log/app.log", outside / "x.log.1")):
            trees.mount("--bind", str(source), str(top / place))
            stack.callback(trees.unmount, top / place)
        report = img_clean(top, "--yes", "--only", only, codes=(1,))
        assert trees.manifest(outside) == before
    failed = failures(report)
    assert {*failed} == {"temp-files", "package-cache", "logs"}
    assert all("umount it there" in error for _, steps in failed.values() for _, error in steps)
    assert not (top / "root/.lesshst").exists()
    img_clean(top, "--yes", "--only", only)
    assert rest_is_done(top)


@contextlib.contextmanager
def immutable(*paths: Path) -> Iterator[None]:
    """No one can change PATHS while the block runs."""
    subprocess.run(["chattr", "+i", *paths], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *paths], check=True)


def test_what_is_immutable_is_told_and_spares_nothing_else(tree: Tree) -> None:
    top = tree("bookworm")
    plant(top, {"/tmp/held": "x", "/tmp/d/held": "x", "/tmp/d/rest": "x", "/etc/machine-id":
                "0123456789abcdef0123456789abcdef\n", "/root/.bash_history": "x", **REST})
    held = [top / name for name in ("tmp/held", "tmp/d/held", "etc/machine-id",
                                    "root/.bash_history")]
    with immutable(*held):
        report = img_clean(top, *OFFLINE, codes=(1,))
    failed = failures(report)
    assert {*failed} == {"temp-files", "shell-history", "machine-id"}
    assert {path for path, _ in failed["temp-files"][1]} == {"/tmp/held", "/tmp/d"}
    assert not (top / "tmp/d/rest").exists()
    assert rest_is_done(top)
    img_clean(top, *OFFLINE)
    assert not (top / "tmp/d").exists()
    assert (top / "etc/machine-id").read_bytes() == b""


def test_a_read_only_image_is_told_for_every_action(tree: Tree) -> None:
    top = tree("bookworm")
    plant(top, REST)
    trees.mount("-o", "remount,ro", str(top))
    try:
        report = img_clean(top, *OFFLINE, codes=(1,))
    finally:
        trees.mount("-o", "remount,rw", str(top))
    steps = [step for result in report["cleaners"] for step in result["actions"]]
    assert {step["outcome"] for step in steps} == {"failed"}
    assert {step["error"] for step in steps if step["path"]} == {"Read-only file system"}
    assert not rest_is_done(top)


@pytest.mark.usefixtures("_trees_can_be_built")
def test_a_full_disk_is_cleaned(tmp_path: Path) -> None:
    """Removing and truncating need no room; one that has to write says that there is none."""
    top = tmp_path / "image"
    top.mkdir()
    trees.mount("-t", "tmpfs", "-o", "size=2m,mode=0755", "tmpfs", str(top))
    try:
        plant(top, {**BASE, **REST})
        with contextlib.suppress(OSError), open(top / "srv", "wb") as file:
            file.write(bytes(4 << 20))
        only = "temp-files,logs,shell-history,machine-id"
        report = img_clean(top, "--yes", "--only", only, codes=(0, 1))
        assert {*failures(report)} <= {"machine-id"}
        assert rest_is_done(top)
        (top / "srv").unlink()
        img_clean(top, "--yes", "--only", only)
        assert (top / "etc/machine-id").read_bytes() == b""
        assert sorted(os.listdir(top / "etc")) == ["machine-id", "os-release", "passwd", "shadow"]
    finally:
        trees.unmount(top)


def test_logs_on_a_partition_of_their_own_are_found_and_emptied(tree: Tree, tmp_path: Path) -> None:
    """A walk enters no other file system, but hardened images mount one on /var/log/audit."""
    top, disk = clean(tree("bookworm")), tmp_path / "audit.img"
    place = top / "var/log/audit"
    place.mkdir()
    with open(disk, "wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", disk], check=True)
    trees.mount("-o", "loop", str(disk), str(place))
    try:
        (place / "audit.log").write_text(CANARY)
        (place / "audit.log.1").write_text(CANARY)
        img_clean(top, "--yes", "--only", "logs")
        assert sorted(os.listdir(place)) == ["audit.log", "lost+found"]
        assert (place / "audit.log").read_bytes() == b""
    finally:
        trees.unmount(place)
