"""Walks of RootFS: deep, broad, changing and mounted trees, and the top."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from img_tools import entries
from img_tools.entries import Unreadable
from img_tools.rootfs import RootFS
from tests.engine.rootfs.common import descriptors, paths
from tests.support import File, Link, needs

# -- trees -----------------------------------------------------------------------------------------


def deep(top: Path, levels: int) -> None:
    """Directories in each other, too deep for any path; removed again by rmtree's descriptors."""
    fd = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)


def flatten(top: Path) -> None:
    """Remove what deep() made; pytest's own removal recurses."""
    while os.path.isdir(top / "d"):
        os.rename(top / "d", top / "was")
        if os.path.isdir(top / "was/d"):
            os.rename(top / "was/d", top / "d")
        os.rmdir(top / "was")


def test_a_tree_of_5000_levels_is_unreadable_without_a_leak(tree, tmp_path):
    root = tree({"/x": ""})
    deep(tmp_path / "image", 5000)
    before = descriptors()
    try:
        with pytest.raises(Unreadable, match="over 200 directories deep"):
            list(root.walk("/"))
        with pytest.raises(Unreadable, match="over 200 directories deep"):
            list(root.glob("/**/x"))
    finally:
        flatten(tmp_path / "image")
    assert descriptors() == before


def test_a_tree_as_deep_as_allowed_is_walked(tree, tmp_path):
    root = tree({})
    deep(tmp_path / "image", entries.MAX_DEPTH)
    assert len(list(root.walk("/"))) == entries.MAX_DEPTH


def test_a_walk_that_is_given_up_leaves_no_descriptor(tree):
    root = tree({"/a/b/c/d": "", "/a/b/e": ""})
    before = descriptors()
    walk = root.walk("/")
    next(walk)
    next(walk)
    assert descriptors() > before
    walk.close()
    assert descriptors() == before


def test_a_directory_that_vanishes_does_not_end_the_walk(tree, tmp_path):
    """On a running system /tmp changes: what comes after must still be seen."""
    root = tree({"/t/d": {}, "/t/x": "", "/t/y": "", "/t/z": ""})
    found = []
    for entry in root.walk("/t"):
        found.append(entry.path)
        if (tmp_path / "image/t/d").exists():
            os.rmdir(tmp_path / "image/t/d")
    assert {"/t/x", "/t/y", "/t/z"} <= set(found)


def test_a_directory_removed_under_the_reader_is_empty_and_not_the_end(tree, tmp_path, monkeypatch):
    root = tree({"/t/d/x": "", "/t/e": ""})

    class Vanishing:
        def __init__(self, real: object) -> None:
            self.real = real

        def __next__(self) -> object:
            raise FileNotFoundError(2, "No such file or directory")

        def close(self) -> None:
            self.real.close()  # type: ignore[attr-defined]

    real = os.scandir
    calls = []

    def scandir(fd: int) -> object:
        calls.append(fd)
        return real(fd) if len(calls) == 1 else Vanishing(real(fd))

    monkeypatch.setattr(os, "scandir", scandir)
    assert paths(root.walk("/t")) == ["/t/d", "/t/e"]


def test_a_directory_that_cannot_be_read_is_unreadable_and_not_empty(tree, tmp_path, monkeypatch):
    root = tree({"/t/d/x": ""})
    real = os.open

    def refusing(path: str, *rest: object, **more: object) -> int:
        if path == "d":
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)
    before = descriptors()
    with pytest.raises(Unreadable, match="/t/d: Permission denied"):
        list(root.walk("/t"))
    with pytest.raises(Unreadable, match="Permission denied"):
        root.listdir("/t/d")
    with pytest.raises(Unreadable, match="Permission denied"):
        root.stat("/t/d/x")
    assert descriptors() == before


def failing(function: Callable[..., object], name: str) -> Callable[..., object]:
    """FUNCTION on a disk that cannot read NAME."""
    def call(path: object, *rest: object, **more: object) -> object:
        if path == name or str(path).endswith(f"/{name}"):
            raise OSError(5, "Input/output error")
        return function(path, *rest, **more)

    return call


@pytest.mark.parametrize(("function", "look"), [
    ("readlink", lambda root: root.resolve("/t/bad/x")),
    ("readlink", lambda root: root.stat("/t/bad", follow=True)),
    ("stat", lambda root: root.stat("/t/bad")),
    ("stat", lambda root: root.read_bytes("/t/bad")),
    ("open", lambda root: root.read_bytes("/t/bad")),
])
def test_a_broken_disk_is_unreadable_and_not_absent(tree, monkeypatch, function, look):
    root = tree({"/t/bad": "x"})
    monkeypatch.setattr(os, function, failing(getattr(os, function), "bad"))
    with pytest.raises(Unreadable, match="/t/bad: Input/output error"):
        look(root)


def test_content_that_cannot_be_read_is_unreadable(tree, monkeypatch):
    root = tree({"/bad": "x"})

    class Broken:
        def __enter__(self) -> Broken:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def fileno(self) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(root, "open", lambda path: Broken())
    with pytest.raises(Unreadable, match="/bad: Input/output error"):
        root.read_bytes("/bad")


def test_a_directory_whose_reading_breaks_off_is_unreadable(tree, monkeypatch):
    root = tree({"/t/x": ""})

    class Broken:
        def __next__(self) -> object:
            raise OSError(5, "Input/output error")

        def close(self) -> None:
            pass

    monkeypatch.setattr(os, "scandir", lambda fd: Broken())
    with pytest.raises(Unreadable, match="/t: Input/output error"):
        list(root.walk("/t"))


def test_a_file_that_became_a_pipe_meanwhile_is_refused(tree, tmp_path, monkeypatch):
    root = tree({"/x": "x"})
    real = os.open

    def swapping(path: object, *rest: object, **more: object) -> int:
        if path == "x":
            os.unlink(tmp_path / "image/x")
            os.mkfifo(tmp_path / "image/x")
        return real(path, *rest, **more)  # type: ignore[arg-type]

    before = descriptors()
    monkeypatch.setattr(os, "open", swapping)
    with pytest.raises(Unreadable, match="a named pipe, not a regular file"):
        root.read_bytes("/x")
    assert descriptors() == before


MOUNTED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, target, kind, flags):
    if libc.mount(source, target, kind, flags, None):
        print("cannot mount:", os.strerror(ctypes.get_errno()))
        sys.exit(77)
if libc.unshare(0x20000):  # CLONE_NEWNS
    sys.exit(77)
mount(None, b"/", None, 0x4000 | 1 << 18)  # MS_REC | MS_PRIVATE
top = sys.argv[1]
mount(b"tmpfs", os.fsencode(top) + b"/mnt/disk", b"tmpfs", 0)
open(top + "/mnt/disk/inside", "w").close()
from img_tools.rootfs import RootFS
root = RootFS(top)
print(sorted(entry.path for entry in root.walk("/")))
print(sorted(entry.path for entry in root.walk("/mnt/disk")))
print(sorted(entry.path for entry in root.glob("/**/inside")))
"""


def test_a_mount_point_below_is_named_and_not_entered(tree, tmp_path):
    needs(os.geteuid() == 0, "root to mount a tmpfs")
    tree({"/mnt/disk/below": "hidden by the mount", "/x": ""})
    done = subprocess.run([sys.executable, "-c", MOUNTED, str(tmp_path / "image")],
                          capture_output=True, text=True, check=False)
    needs(done.returncode != 77, f"a mount namespace of its own ({done.stdout.strip()})")
    assert done.stdout.splitlines() == [
        "['/mnt', '/mnt/disk', '/x']", "['/mnt/disk/inside']", "[]"], done.stderr


# -- the top ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["/", "//", "/.", "/usr/.."])
def test_the_running_system_by_any_spelling(spelling):
    root = RootFS(spelling)
    assert root.top == "/"
    assert root.host_path("/etc/passwd") == "/etc/passwd"
    assert root.stat("/etc/passwd", follow=True).is_file


def test_the_top_may_be_reached_through_a_link(tree, tmp_path):
    tree({"/x": "X"})
    os.symlink("image", tmp_path / "link")
    assert RootFS(str(tmp_path / "link")).read_text("/x") == "X"


def test_an_entry_says_what_it_is(tree):
    root = tree({"/x": File("#!", mode=0o755), "/d": {}, "/l": Link("x")})
    x, d, link = root.stat("/x"), root.stat("/d"), root.stat("/l")
    assert (x.is_file, x.is_dir, x.is_link, x.executable, x.size) == (True, False, False, True, 2)
    assert (d.is_file, d.is_dir, d.executable) == (False, True, False)
    assert (link.is_link, link.is_file) == (True, False)
    assert root.is_file("/l")
    assert root.is_dir("/d")
    assert not root.is_file("/d")
    assert not root.is_dir("/nonesuch")


def test_a_large_directory_is_listed_in_parts_and_nothing_is_missed(tree, monkeypatch):
    """Also when what was listed is removed before the next part is read, as cleaning does."""
    monkeypatch.setattr(entries, "LISTED", 7)
    root = tree({f"/t/{n}": "x" for n in range(100)} | {f"/t/d{n}/x": "x" for n in range(20)})
    assert len(list(root.walk("/t"))) == 140
    names = []
    for listing in root.listings("/t", deep=False):
        assert len(listing.items) <= 7
        for item in listing.items:
            names.append(item.name)
            if not item.is_dir(follow_symlinks=False):
                os.unlink(f"{root.top}{listing.path}/{item.name}")
    assert sorted(names) == sorted([*map(str, range(100)), *(f"d{n}" for n in range(20))])
    assert {entry.path for entry in root.walk("/t")} == {
        f"/t/d{n}{rest}" for n in range(20) for rest in ("", "/x")}


def test_what_was_read_before_a_disk_broke_is_told_first(tree, monkeypatch):
    root = tree({"/t/x": "", "/t/y": ""})
    real = os.scandir

    class Breaking:
        def __init__(self, fd: int) -> None:
            self._scan = real(fd)
            self._left = 1

        def __next__(self) -> object:
            self._left -= 1
            if self._left < 0:
                raise OSError(5, "Input/output error")
            return next(self._scan)

        def close(self) -> None:
            self._scan.close()

    monkeypatch.setattr(os, "scandir", Breaking)
    found: list[object] = []
    with pytest.raises(Unreadable, match="/t: Input/output error"):
        found.extend(root.walk("/t"))
    assert len(found) == 1
