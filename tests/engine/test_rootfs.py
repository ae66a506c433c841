"""RootFS over hostile trees: it never leaves the image, never blocks, and never mistakes."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from img_tools import entries
from img_tools.entries import LinkLoop, Unreadable
from img_tools.rootfs import RootFS
from tests.support import Fifo, File, Link, build, needs

Tree = Callable[..., RootFS]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """tree({path: what}) -> RootFS below tmp_path/image; tmp_path/outside holds a canary."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/canary").write_text("CANARY")
    (tmp_path / "canary").write_text("CANARY")

    def make(files: dict[str, object]) -> RootFS:
        top = tmp_path / "image"
        top.mkdir(exist_ok=True)
        build(top, files)
        return RootFS(str(top))

    return make


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def paths(entries: object) -> list[str]:
    return sorted(entry.path for entry in entries)  # type: ignore[attr-defined]


# -- links ---------------------------------------------------------------------------------------


def escapes(tmp_path: Path) -> dict[str, object]:
    """Links that lead out of tmp_path/image, by every spelling."""
    return {
        "/absolute": Link(f"{tmp_path}/outside/canary"),
        "/relative": Link("../outside/canary"),
        "/far": Link("../" * 60 + str(tmp_path).lstrip("/") + "/canary"),
        "/directory": Link(f"{tmp_path}/outside"),
        "/dots": Link("directory/../../../canary"),
        "/a/b/up": Link("../../../canary"),
    }


@pytest.mark.parametrize("name", ["absolute", "relative", "far", "dots", "a/b/up",
                                  "directory/canary", "../canary", "a/../../canary"])
def test_no_link_and_no_dots_lead_out_of_the_image(tree, tmp_path, name):
    root = tree(escapes(tmp_path))
    assert root.stat(f"/{name}", follow=True) is None
    assert not root.exists(f"/{name}")
    assert root.read_lines(f"/{name}") == []
    with pytest.raises(FileNotFoundError):
        root.read_bytes(f"/{name}")
    assert root.host_path(f"/{name}").startswith(f"{tmp_path}/image/")


def test_a_link_to_a_directory_outside_shows_nothing_of_it(tree, tmp_path):
    root = tree(escapes(tmp_path))
    assert root.listdir("/directory") == []
    assert list(root.walk("/directory")) == []
    assert list(root.glob("/directory/*")) == []
    assert list(root.glob("/*/canary")) == []
    assert list(root.glob("/directory/**")) == []
    assert paths(root.glob("/**/canary")) == []


def test_walk_and_glob_name_links_and_do_not_follow_them(tree, tmp_path):
    root = tree(escapes(tmp_path) | {"/a/plain": "x", "/in": Link("/a")})
    assert paths(root.walk("/")) == ["/a", "/a/b", "/a/b/up", "/a/plain", "/absolute",
                                     "/directory", "/dots", "/far", "/in", "/relative"]
    assert paths(entry for entry in root.glob("/*") if entry.is_link) == [
        "/absolute", "/directory", "/dots", "/far", "/in", "/relative"]


def test_a_link_resolves_inside_the_image_as_after_chroot(tree):
    root = tree({
        "/etc/os-release": Link("../usr/lib/os-release"),
        "/etc/alias": Link("/usr/lib/os-release"),
        "/usr/lib/os-release": "ID=x\n",
        "/bin": Link("usr/bin"),
        "/usr/bin/sh": "#!",
    })
    assert root.resolve("/etc/os-release") == "/usr/lib/os-release"
    assert root.resolve("/etc/alias") == "/usr/lib/os-release"
    assert root.resolve("/bin/sh") == "/usr/bin/sh"
    assert root.resolve("/bin/../bin/./sh") == "/usr/bin/sh"
    assert root.resolve("/bin", follow=False) == "/bin"
    assert root.resolve("/bin/sh", follow=False) == "/usr/bin/sh"
    assert root.read_text("/etc/alias") == "ID=x\n"
    assert root.readlink("/etc/os-release") == "../usr/lib/os-release"
    assert root.readlink("/usr/bin/sh") is None
    assert root.readlink("/nonesuch") is None


def test_a_relative_link_starts_where_it_lies(tree):
    root = tree({"/a/b/link": Link("x"), "/a/b/up": Link("../y"), "/a/b/x": "b", "/a/y": "a",
                 "/x": "top", "/y": "top"})
    assert root.read_text("/a/b/link") == "b"
    assert root.read_text("/a/b/up") == "a"


def test_dots_above_the_top_stay_at_the_top(tree):
    root = tree({"/x": "X"})
    assert root.resolve("/../../..") == "/"
    assert root.read_text("/../../x") == "X"
    assert root.stat("/..") is not None
    assert root.stat("/").is_dir


def test_a_name_that_is_missing_is_kept(tree):
    assert tree({}).resolve("/no/such/file") == "/no/such/file"


@pytest.mark.parametrize("look", [
    lambda root, path: root.resolve(path),
    lambda root, path: root.stat(path, follow=True),
    lambda root, path: root.read_bytes(path),
    lambda root, path: root.read_lines(path),
    lambda root, path: root.listdir(path),
    lambda root, path: list(root.walk(path)),
    lambda root, path: list(root.glob(f"{path}/*")),
    lambda root, path: root.exists(path),
])
@pytest.mark.parametrize("path", ["/self", "/one", "/grows"])
def test_a_loop_of_links_is_unreadable_and_not_absent(tree, look, path):
    root = tree({"/self": Link("self"), "/one": Link("/two"), "/two": Link("one"),
                 "/grows": Link("grows/x")})
    with pytest.raises(LinkLoop, match="too many levels"):
        look(root, path)


def test_a_loop_is_still_an_entry_and_a_pattern_passes_it_by(tree):
    """The loop at one name must not blind `*` to the others: nothing can lie behind it."""
    root = tree({"/home/a": Link("a"), "/home/b/.key": "x", "/home/c": Link("/nowhere")})
    assert paths(root.glob("/home/*")) == ["/home/a", "/home/b", "/home/c"]
    assert paths(root.glob("/home/*/.key")) == ["/home/b/.key"]
    assert root.stat("/home/a").is_link


def test_forty_links_are_followed_as_the_kernel_does(tree):
    chain = {f"/{number}": Link(f"/{number + 1}") for number in range(41)}
    root = tree({**chain, "/41": "end"})
    assert root.read_text("/1") == "end"
    with pytest.raises(LinkLoop):
        root.read_text("/0")


@pytest.mark.parametrize("look", [
    lambda root: root.read_bytes("/etc/canary"),
    lambda root: root.stat("/etc/canary", follow=True),
    lambda root: root.listdir("/etc"),
    lambda root: list(root.walk("/etc")),
    lambda root: root.stat("/etc/sub/canary"),
])
def test_a_directory_swapped_for_a_link_meanwhile_is_unreadable(tree, tmp_path, monkeypatch, look):
    """Neither the canary outside nor "nothing there": the second would pass an image unread."""
    root = tree({"/etc/canary": "inside", "/etc/sub/x": ""})
    resolve = root.resolve

    def swapping(path: str, *, follow: bool = True) -> str:
        resolved = resolve(path, follow=follow)
        if not (tmp_path / "image/etc").is_symlink():
            os.rename(tmp_path / "image/etc", tmp_path / "image/was")
            os.symlink(tmp_path / "outside", tmp_path / "image/etc")
        return resolved

    monkeypatch.setattr(root, "resolve", swapping)
    with pytest.raises(Unreadable, match="became a link"):
        look(root)


def test_a_file_swapped_for_a_link_meanwhile_is_unreadable(tree, tmp_path, monkeypatch):
    root = tree({"/file": Link(f"{tmp_path}/canary")})
    monkeypatch.setattr(root, "resolve", lambda path, follow=True: path)
    with pytest.raises(Unreadable):
        root.read_bytes("/file")


# -- things that are not files ---------------------------------------------------------------------


@pytest.fixture
def odd(tree, tmp_path) -> RootFS:
    root = tree({"/fifo": Fifo(), "/dir": {}, "/to-fifo": Link("fifo"), "/file": "x"})
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path / "image")  # the path of a socket is short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    return root


@pytest.mark.parametrize(("path", "what"), [
    ("/fifo", "named pipe"), ("/to-fifo", "named pipe"), ("/socket", "socket"),
    ("/dir", "directory"), ("/", "directory"),
])
def test_what_is_no_file_is_refused_without_waiting(odd, path, what):
    before = descriptors()
    for read in (odd.read_bytes, odd.read_text, odd.read_lines, odd.open):
        with pytest.raises(Unreadable, match=f"a {what}, not a regular file"):
            read(path)
    assert descriptors() == before


@pytest.mark.parametrize("path", ["/fifo/x", "/file/x", "/socket/x"])
def test_nothing_lies_below_what_is_no_directory(odd, path):
    assert odd.stat(path) is None
    assert odd.read_lines(path) == []
    assert odd.listdir(os.path.dirname(path)) == []
    assert list(odd.walk(os.path.dirname(path))) == []


def test_a_device_is_never_opened(tree, tmp_path, monkeypatch):
    """Opening acts: a watchdog starts, a tape rewinds."""
    needs(os.geteuid() == 0, "root to make a device")
    root = tree({})
    try:
        os.mknod(tmp_path / "image/dev", stat.S_IFCHR | 0o600, os.makedev(10, 130))
    except PermissionError:
        needs(False, "the right to make a device")
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: (
        opened.append(path), real(path, *rest, **more))[1])
    with pytest.raises(Unreadable, match="a device, not a regular file"):
        root.read_bytes("/dev")
    assert "dev" not in opened


def test_a_huge_sparse_file_is_refused_at_once_and_its_head_is_read(tree):
    root = tree({"/huge": File(b"head", size=1 << 30)})
    with pytest.raises(Unreadable, match="larger than 67108864 bytes"):
        root.read_bytes("/huge")
    assert root.read_bytes("/huge", 4, head=True) == b"head"
    assert root.stat("/huge").size == 1 << 30


def test_the_limit_is_exact(tree):
    root = tree({"/file": "12345"})
    assert root.read_bytes("/file", 5) == b"12345"
    with pytest.raises(Unreadable, match="larger than 4 bytes"):
        root.read_bytes("/file", 4)


def test_the_kernel_s_files_of_size_zero_are_read_and_bounded():
    """They state size 0 and have content."""
    root = RootFS("/")
    assert root.read_bytes("/proc/version", head=True).startswith(b"Linux")
    with pytest.raises(Unreadable, match="larger than"):
        root.read_bytes("/proc/cpuinfo", 10)


# -- names -----------------------------------------------------------------------------------------


def test_names_that_are_not_utf8_arrive_as_surrogates_and_lead_back(tree):
    name = os.fsdecode(b"/dir/\xff\xfe.key")
    root = tree({name: "x", "/dir/new\nline": "y", "/dir/\x1b[31m": "z"})
    assert root.listdir("/dir") == ["\x1b[31m", "new\nline", name.rpartition("/")[2]]
    assert root.read_text(name) == "x"
    assert paths(root.glob("/dir/*.key")) == [name]
    assert paths(root.glob("/dir/new*line")) == ["/dir/new\nline"]
    assert paths(root.glob("/**/*line")) == ["/dir/new\nline"]
    assert name in paths(root.walk("/dir"))


def test_errors_show_odd_names_as_text(tree):
    root = tree({"/\x1b[31m\udcff": Fifo()})
    with pytest.raises(Unreadable) as raised:
        root.read_text("/\x1b[31m\udcff")
    assert str(raised.value).startswith(r"/\x1b[31m\xff: a named pipe")


@pytest.mark.parametrize("path", ["/etc/a\0b", "/\0", "/etc/\ud800", "/" + "n" * 300,
                                  "/" + "d/" * 3000, "/etc/" + "n" * 300 + "/x"])
def test_a_path_no_file_can_have_is_one_where_nothing_is(tree, path):
    root = tree({"/etc/x": ""})
    assert root.stat(path) is None
    assert root.stat(path, follow=True) is None
    assert root.readlink(path) is None
    assert root.listdir(path) == []
    assert list(root.walk(path)) == []
    assert list(root.glob(path)) == []
    assert root.read_lines(path) == []
    with pytest.raises(FileNotFoundError):
        root.open(path)


def test_contents_that_are_not_utf8_survive(tree):
    root = tree({"/x": b"a\xff\r\nb\x85c\n"})
    assert root.read_lines("/x") == ["a\udcff\r", "b\udc85c", ""]


# -- patterns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "found"), [
    ("/e/*.conf", ["/e/.hidden.conf", "/e/a.conf"]),
    ("/e/[ab].conf", ["/e/a.conf"]),
    ("/e/?/x", ["/e/d/x"]),
    ("/e/**", ["/e/.hidden.conf", "/e/a.conf", "/e/d", "/e/d/d", "/e/d/d/x", "/e/d/x"]),
    ("/e/**/x", ["/e/d/d/x", "/e/d/x"]),
    ("/e/**/d/x", ["/e/d/d/x", "/e/d/x"]),
    ("/e/**/d/d/x", ["/e/d/d/x"]),
    ("/e/**/e/d/x", []),
    ("/e/d/", ["/e/d"]),
    ("/nonesuch/*", []),
    ("/e/a.conf/*", []),
    ("/", ["/"]),
])
def test_patterns(tree, pattern, found):
    root = tree({"/e/a.conf": "", "/e/.hidden.conf": "", "/e/d/x": "", "/e/d/d/x": ""})
    assert paths(root.glob(pattern)) == found


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
