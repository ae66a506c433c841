"""Where secrets are looked for, what packages own, and what a report says of what was left out."""

from __future__ import annotations

import hashlib
import resource
import time

import pytest

from img_tools.model import Undecided
from img_tools.packages import dpkg, rpmdb
from img_tools.rootfs import RootFS
from img_tools.secrets import places, rules, scan
from tests.support import FakeRunner, Link, build


@pytest.fixture
def root(tmp_path):
    def made(files):
        build(tmp_path, files)
        return RootFS(str(tmp_path))

    return made


# -- places ----------------------------------------------------------------------------------------


def test_each_directory_once_and_none_below_another(root):
    image = root({name: {} for name in (
        "/etc", "/home/ann", "/root", "/opt", "/opt-two", "/srv/app", "/usr/lib/systemd/system",
        "/var/lib/app", "/data", "/proc", "/sys", "/dev", "/tmp", "/usr/share")} | {
        "/lib": Link("usr/lib"), "/link": Link("/opt"), "/loop": Link("loop"),
        "/top": Link("/"), "/kernel": Link("/proc")})
    homes = ("/root", "/home/ann", "/srv/app", "/var/lib/app", "/", "/usr/sbin", "/bin", "/dev",
             "/proc", "/run/sshd", "/var/spool/lpd", "/nonexistent")
    assert sorted(places.directories(image, homes)) == [
        "/data", "/etc", "/home", "/opt", "/opt-two", "/root", "/srv", "/usr/lib/systemd/system",
        "/var/lib/app"]


def test_what_a_walk_does_not_enter(root):
    image = root({"/opt/a/.git/objects/ab/cd": "x", "/opt/a/.git/config": "x",
                  "/opt/a/__pycache__/x": "x", "/opt/b/x": "x"})
    assert sorted(f"{listing.path}/{item.name}"
                  for listing in image.listings("/opt", enters=places.entered)
                  for item in listing.items if item.is_file()) == ["/opt/a/.git/config", "/opt/b/x"]


def test_other_disks_below_are_searched_too(root):
    """A walk ends where another file system begins: /srv/data may be a partition of the image."""
    image = root({"/srv/a": "x", "/var/lib/mounted/b": "x"})
    mounted = {"/srv": ["/var/lib/mounted"]}  # as if it were below
    assert scan.read(image, (), (), lambda paths: ()).files == 1
    found = scan.read(image, (), (), lambda paths: (), lambda place: mounted.get(place, []))
    assert found.files == 2


def test_public_secrets_do_not_crowd_out_others(root, monkeypatch):
    monkeypatch.setattr(scan, "KEPT", 2)
    token = "ghp_" + "aB3dE5gH7jK9" * 3
    image = root({f"/srv/{name}": token for name in "abc"})
    found = scan.read(image, (), (), lambda paths: paths)
    assert (found.secrets, found.more) == ([], 1)
    with pytest.raises(Undecided, match="over 2 secrets"):
        found.require_whole()
    scan.read(image, (), (), lambda paths: ()).require_whole()


# -- forms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    b"_" * 300_000, b"-" * 300_000, b"A" * 300_000, b"." * 300_000, b"://" * 100_000,
    b"-----BEGIN " * 30_000, b"sk-" + b"a" * 300_000, b"sk-ant-" * 40_000, b"x_" + b"a" * 300_000,
    b"://a:" + b"b" * 300_000, b"-----BEGIN PRIVATE KEY-----" * 10_000,
    b"key-0123456789abcdef" * 9_000, b"\0" * 300_000,
    (b"-----BEGIN RSA PRIVATE KEY-----\n" + b"a: b\n" * 200) * 300,
    b"secret_access_key =  " * 15_000, b"://x.blob.core.windows.net/?" * 10_000, b"a:AAA" * 60_000,
    b"\\n" * 100_000 + b"-----BEGIN PRIVATE KEY-----" + b"\\n" * 100_000,
], ids=lambda text: repr(text[:20]))
def test_no_text_makes_it_slow(text):
    """Hostile text; honest text takes a millisecond."""
    start = time.process_time()
    assert len(list(rules.search(text, len(text)))) < 5_000
    assert time.process_time() - start < 2


def test_what_lies_beyond_the_end_is_not_looked_at():
    token = b"ghp_" + b"aB3dE5gH7jK9" * 3
    assert len(list(rules.search(token, len(token)))) == 1
    assert list(rules.search(token, len(token) - 1)) == []


def test_memory_does_not_grow_with_files(root):
    image = root({"/srv/big": b"line of text\n" * (2 << 20)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert scan.read(image, (), (), lambda paths: ()).files == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10


# -- what packages own -----------------------------------------------------------------------------


def test_dpkg_a_file_that_is_gone_or_of_another_package(root):
    digest = hashlib.md5(b"x").hexdigest()
    image = root({"/opt/a": "x", "/opt/b": "y", "/var/lib/dpkg/info/p.md5sums":
                  f"{digest}  opt/a\n{digest}  opt/b\n{digest}  opt/gone\nnonsense\n"})
    assert dpkg.unmodified(image, ["/opt/a", "/opt/b", "/opt/gone", "/opt/c"]) == {"/opt/a"}


def test_rpm_names_the_digest_of_each_file(root):
    image = root({"/opt/a": "x", "/opt/b": "changed", "/opt/new line\n": "x", "/opt/c": "x"})
    sums = {kind: hashlib.new(kind, b"x").hexdigest() for kind in ("md5", "sha256")}
    rest = "0100644 root root 0 0 0 X"
    said = (f"/opt/a 1 1700000000 {sums['sha256']} {rest}\n"
            f"/opt/b 1 1700000000 {sums['sha256']} {rest}\n"
            f"/opt/c 1 1700000000 {sums['md5']} {rest}\n"
            "file /opt/d is not owned by any package\n\n/opt/x\n")
    runner = FakeRunner({("rpm", "-qf", "--dump", "/opt/a", "/opt/b", "/opt/c", "/opt/d"):
                         (1, said, "")})
    paths = ["/opt/a", "/opt/b", "/opt/c", "/opt/d", "/opt/new line\n"]
    assert rpmdb.unmodified(image, runner, {}, paths) == {"/opt/a", "/opt/c"}
