"""What the surgeon removes, and that nothing outside is touched."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from img_tools import surgery
from img_tools.surgery import MAX_OPEN, SYSTEM
from tests.engine.surgery.common import open_files, untouched
from tests.support import Fifo, Link, build, needs

# -- removing --------------------------------------------------------------------------------------


def test_a_file_goes_and_its_size_is_told(surgeon, top):
    build(top, {"/tmp/x": "12345"})
    assert surgeon.remove("/tmp/x") == 5
    assert not (top / "tmp/x").exists()


def test_a_file_that_is_open_holds_nothing_when_its_name_is_gone(surgeon, top):
    """Its blocks would not be free while free space is erased: seen with dhclient's leases."""
    build(top, {"/tmp/held": "secret"})
    with open(top / "tmp/held") as held:
        assert surgeon.remove("/tmp/held") == 6
        assert os.fstat(held.fileno()).st_size == 0
    assert os.listdir(top / "tmp") == []


def test_what_a_process_has_mapped_goes_and_harms_it_not(surgeon, top):
    """Cut to nothing under it, the process would get SIGBUS: Java maps libraries from /tmp."""
    build(top, {"/tmp/held": "x" * 9000})
    with open(top / "tmp/held", "r+b") as held, mmap.mmap(held.fileno(), 9000) as content:
        assert surgeon.remove("/tmp/held") == 9000
        assert content[8999:] == b"x"
    assert os.listdir(top / "tmp") == []


def test_without_proc_nothing_is_cut_before_it_goes(surgeon, top, monkeypatch):
    monkeypatch.setattr(surgery, "_mapped_inodes", lambda: None)
    build(top, {"/tmp/held": "secret"})
    with open(top / "tmp/held") as held:
        surgeon.remove("/tmp/held")
        assert held.read() == "secret"


def test_a_missing_path_is_file_not_found(surgeon, top):
    build(top, {"/tmp/file": "x"})
    for act in (surgeon.remove, surgeon.empty, surgeon.truncate):
        for path in ("/tmp/none", "/none/at/all"):
            with pytest.raises(FileNotFoundError):
                act(path)
    with pytest.raises(FileNotFoundError):
        surgeon.remove("/tmp/file/below")


def test_a_link_goes_and_never_its_target(surgeon, top, outside):
    build(top, {"/tmp/file": Link(f"{outside}/canary"), "/tmp/dir": Link(str(outside)),
                "/tmp/none": Link("nowhere"), "/tmp/loop": Link("loop")})
    for name in ("file", "dir", "none", "loop"):
        surgeon.remove(f"/tmp/{name}")
    assert os.listdir(top / "tmp") == []
    assert untouched(outside)


def test_links_in_a_tree_go_and_never_their_targets(surgeon, top, outside):
    build(top, {"/tmp/t/a/file": Link(f"{outside}/canary"), "/tmp/t/a/dir": Link(str(outside)),
                "/tmp/t/up": Link("../../../outside"), "/tmp/t/a/x": "123", "/tmp/t/y": "45"})
    assert surgeon.remove("/tmp/t") == 5
    assert os.listdir(top / "tmp") == []
    assert untouched(outside)


def test_a_link_on_the_way_is_refused(surgeon, top, outside):
    """Paths are resolved when planned; a link that is there now was swapped in."""
    build(top, {"/tmp/d": Link(str(outside))})
    for act, path in ((surgeon.remove, "/tmp/d/canary"), (surgeon.remove, "/tmp/d/sub"),
                      (surgeon.empty, "/tmp/d"), (surgeon.truncate, "/tmp/d/canary"),
                      (surgeon.empty, "/tmp/d/sub")):
        with pytest.raises(OSError, match=r"\w"):
            act(path)
    with pytest.raises(OSError, match=r"\w"):
        surgeon.write("/tmp/d/canary", b"x", 0o644)
    assert untouched(outside)


@pytest.mark.parametrize("path", [
    "", "tmp/x", "/tmp/..", "/tmp/../etc", "/..", "/../outside/canary", "/tmp/.", "/tmp/", "//tmp",
    "/./tmp", "/tmp//x", ".", "..",
])
def test_only_plain_absolute_paths_are_taken(surgeon, top, outside, path):
    build(top, {"/tmp/x": "x"})
    for act in (surgeon.remove, surgeon.empty, surgeon.truncate,
                lambda path: surgeon.write(path, b"", 0o644)):
        with pytest.raises(OSError, match="not a plain absolute path"):
            act(path)
    assert (top / "tmp/x").read_text() == "x"
    assert untouched(outside)


@pytest.mark.parametrize("path", sorted(SYSTEM - {"/"}))
def test_directories_of_the_system_stay(surgeon, top, path):
    build(top, {f"{path}/x": "x"})
    for act in (surgeon.remove, surgeon.empty):
        with pytest.raises(PermissionError):
            act(path)
    assert (top / path[1:] / "x").exists()


def test_the_root_stays(surgeon, top):
    for act in (surgeon.remove, surgeon.empty):
        with pytest.raises(OSError, match=r"\w"):
            act("/")
    assert sorted(os.listdir(top)) == ["etc", "tmp"]


@pytest.mark.parametrize("path", ["/bin", "/lib64", "/srv"])
def test_a_system_directory_that_is_a_link_stays(surgeon, top, path):
    """/bin and /lib64 are links to /usr: without them no program starts."""
    build(top, {path: Link("usr/x")})
    with pytest.raises(PermissionError):
        surgeon.remove(path)
    assert os.readlink(f"{top}{path}") == "usr/x"


def test_special_files_go_unopened(surgeon, top):
    """Opening a pipe would hang, opening a device might act."""
    build(top, {"/tmp/t/pipe": Fifo(), "/tmp/pipe": Fifo(), "/tmp/t/x": "x"})
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as one:
        os.chdir(top / "tmp/t")
        one.bind("socket")
        os.chdir("/")
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):
            os.mknod(top / "tmp/t/device", stat.S_IFCHR | 0o600, os.makedev(1, 7))
            os.mknod(top / "tmp/t/disk", stat.S_IFBLK | 0o600, os.makedev(7, 99))
    surgeon.remove("/tmp/pipe")
    assert surgeon.remove("/tmp/t") == 1
    assert os.listdir(top / "tmp") == []


def deep(path: Path, levels: int) -> None:
    """A chain of directories with a file in each, deeper than any path can say."""
    fd = os.open(path, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)


@pytest.mark.parametrize("levels", [1, MAX_OPEN - 1, MAX_OPEN, MAX_OPEN + 1, 3 * MAX_OPEN, 5000])
def test_deep_trees_go(surgeon, top, levels):
    build(top, {"/tmp/t": {}})
    deep(top / "tmp/t", levels)
    before = open_files()
    surgeon.remove("/tmp/t")
    assert os.listdir(top / "tmp") == []
    assert open_files() <= before + 1  # the directory kept


def test_a_deep_tree_needs_few_descriptors(top):
    build(top, {"/tmp/t": {}})
    deep(top / "tmp/t", 3000)
    code = ("import resource, sys\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
            "from img_tools.rootfs import RootFS\nfrom img_tools.surgery import Surgeon\n"
            f"Surgeon(RootFS({str(top)!r})).empty('/tmp/t')\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert os.listdir(top / "tmp/t") == []


def test_a_broad_tree_goes_and_its_bytes_are_counted(surgeon, top):
    build(top, {f"/tmp/t/{n % 30}/{n % 7}/{n}": "123" for n in range(3000)})
    assert surgeon.remove("/tmp/t") == 9000
    assert not (top / "tmp/t").exists()


def test_odd_names_go(surgeon, top):
    names = ["new\nline", os.fsdecode(b"\xff\xfe"), "-rf", " ", "*", "x" * 255, "\x1b[31m", "...",
             "$(reboot)"]
    build(top, {f"/tmp/t/{name}/{name}": "x" for name in names})
    build(top, {f"/tmp/{name}": "x" for name in names})
    for name in names:
        surgeon.remove(f"/tmp/{name}")
    surgeon.remove("/tmp/t")
    assert os.listdir(top / "tmp") == []


def test_many_files_of_one_directory_go_at_once(surgeon, top, outside):
    """What does not simply go is named: a directory, a name that would lead out, what is gone."""
    build(top, {"/tmp/a": "x", "/tmp/pipe": Fifo(), "/tmp/link": Link(f"{outside}/canary"),
                "/tmp/dir/x": "x", "/tmp/kept": "x"})
    odd = ("../outside/canary", "/etc", "..", ".", "", "x\0y", "dir/x")
    rest = surgeon.unlink("/tmp", ("a", "pipe", "link", "dir", "none", *odd))
    assert rest == {"dir", "none", *odd}
    assert sorted(os.listdir(top / "tmp")) == ["dir", "kept"]
    assert untouched(outside)


@pytest.mark.parametrize("parent", ["/none", "/tmp/f", "/tmp/link", "/tmp/../tmp", "tmp"])
def test_no_file_goes_where_the_directory_is_not_what_was_meant(surgeon, top, outside, parent):
    build(top, {"/tmp/f": "x", "/tmp/link": Link(str(outside)), "/tmp/canary": "x"})
    assert surgeon.unlink(parent, ("canary", "f")) == {"canary", "f"}
    assert untouched(outside)
    assert (top / "tmp/canary").exists()


def test_sizes_of_very_many_files_are_not_told(surgeon, top, monkeypatch):
    monkeypatch.setattr(surgery, "MEASURED", 10)
    build(top, {f"/tmp/t/{n}": "123" for n in range(10)})
    assert surgeon.remove("/tmp/t") == 30
    build(top, {f"/tmp/t/{n}": "123" for n in range(11)})
    assert surgeon.remove("/tmp/t") is None
    assert os.listdir(top / "tmp") == []


def test_deep_trees_go_where_directories_cannot_be_moved(surgeon, top, monkeypatch):
    """An overlay does not move directories of its lower half (EXDEV)."""
    def rename(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    build(top, {"/tmp/t": {}})
    deep(top / "tmp/t", MAX_OPEN + 50)
    monkeypatch.setattr(os, "rename", rename)
    before = open_files()
    surgeon.remove("/tmp/t")
    assert os.listdir(top / "tmp") == []
    assert open_files() <= before + 1


def test_emptied_directories_stay_with_inode_and_mode(surgeon, top):
    build(top, {"/tmp/d/.hidden": "x", "/tmp/d/sub/y": "yy", "/tmp/d/z": "z"})
    os.chmod(top / "tmp/d", 0o1777)
    before = os.stat(top / "tmp/d")
    assert surgeon.empty("/tmp/d") == 4
    after = os.stat(top / "tmp/d")
    assert os.listdir(top / "tmp/d") == []
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    build(top, {"/tmp/f": "x"})
    with pytest.raises(NotADirectoryError):
        surgeon.empty("/tmp/f")


def test_one_that_cannot_go_does_not_spare_the_rest(surgeon, top):
    needs(shutil.which("chattr") is not None, "chattr")
    build(top, {f"/tmp/t/{name}/x": "x" for name in "abc"} | {"/tmp/t/b/held": "x"})
    held = str(top / "tmp/t/b/held")
    if subprocess.run(["chattr", "+i", held], capture_output=True, check=False).returncode:
        pytest.skip("no file attributes here")
    try:
        with pytest.raises(PermissionError):
            surgeon.remove("/tmp/t")
    finally:
        subprocess.run(["chattr", "-i", held], check=True)
    assert os.listdir(top / "tmp/t") == ["b"]
    assert os.listdir(top / "tmp/t/b") == ["held"]


# -- mounts ----------------------------------------------------------------------------------------


MOUNTED = """
import sys
from img_tools.rootfs import RootFS
from img_tools.surgery import Surgeon
surgeon = Surgeon(RootFS(sys.argv[1]))
for act, path in ((surgeon.remove, "/tmp/t"), (surgeon.remove, "/tmp/m"), (surgeon.empty, "/tmp/u"),
                  (surgeon.remove, "/tmp/file")):
    try:
        act(path)
        print(path, "done")
    except OSError as error:
        print(path, error.strerror)
"""


@pytest.mark.parametrize("kind", ["--bind {outside}", "-t tmpfs none"])
def test_mounts_below_are_not_entered(top, outside, kind):
    """A bind mount has the device of what it shows: a build's chroot with the host's / in it."""
    build(top, {"/tmp/t/a/m": {}, "/tmp/t/b/x": "x", "/tmp/m": {}, "/tmp/u/a/b/m": {},
                "/tmp/u/x": "x", "/tmp/file": "x"})
    source = kind.format(outside=outside)
    script = "".join(f"mount {source} {top}{place} && \n" for place in
                     ("/tmp/t/a/m", "/tmp/m", "/tmp/u/a/b/m"))
    script += (f"touch {top}/tmp/m/inside && mount --bind {outside}/canary {top}/tmp/file || "
               f'exit 77\n"$@"; ls {top}/tmp/m')
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", sys.executable,
         "-c", MOUNTED, str(top)], capture_output=True, text=True, check=False)
    needs(done.returncode in (0, 1) and "unshare" not in done.stderr, "a mount namespace")
    assert "/tmp/t m is a mount point" in done.stdout, done.stderr
    assert "/tmp/m m is a mount point" in done.stdout
    assert "/tmp/u m is a mount point" in done.stdout
    assert "/tmp/file done" not in done.stdout
    assert "inside" in done.stdout
    assert untouched(outside)
    assert not (top / "tmp/t/b").exists()
    assert not (top / "tmp/u/x").exists()
