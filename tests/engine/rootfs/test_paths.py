"""RootFS over hostile trees: it never leaves the image, never blocks, and never mistakes."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from img_tools.entries import LinkLoop, Unreadable
from img_tools.rootfs import RootFS
from tests.engine.rootfs.common import descriptors, paths
from tests.support import Fifo, File, Link, needs

# -- links -----------------------------------------------------------------------------------------


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
