"""The package checks with the real apt of each release, over toy archives and Debian's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from tests.rootfs import running, trees
from tests.rootfs.conftest import Tree
from tests.rootfs.debrepo import Archive, Key, build_deb, served

IDS = "security-updates,package-updates,package-state,repositories"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Key, Key]]:
    """The key that signs the toy archives, and one that nobody has."""
    top = tmp_path_factory.mktemp("keys")
    pair = Key.make(top / "known"), Key.make(top / "unknown")
    yield pair
    for key in pair:
        with suppress(FileNotFoundError):
            subprocess.run(["gpgconf", "--homedir", str(key.home), "--kill", "gpg-agent"],
                           check=False, capture_output=True)


def debian(suite: str) -> list[str]:
    """The lines of sources.list for Debian's own archives."""
    return [f"deb {trees.MIRROR} {suite} main", f"deb {trees.MIRROR} {suite}-updates main",
            f"deb {trees.SECURITY} {suite}-security main"]


class Toy:
    """A tree whose only sources are two toy archives, called Debian's main and security."""

    def __init__(self, tree: Path, suite: str, web: Path, url: str, key: Key) -> None:
        self.tree, self.suite, self.web, self.url, self.key = tree, suite, web, url, key
        self.main = self.archive("main", suite, Origin="Debian", Label="Debian", Suite="stable")
        self.security = self.archive("security", f"{suite}-security", Origin="Debian",
                                     Label="Debian-Security", Suite="stable-security")
        shutil.copy(key.public, tree / "etc/apt/toy.gpg")
        self.configure(self.line("main"), self.line("security"))

    def archive(self, name: str, suite: str, **release: str) -> Archive:
        """A new archive, served as NAME."""
        return Archive(self.web / name, suite, **release)

    def line(self, name: str, suite: str = "", options: str = "signed-by=/etc/apt/toy.gpg") -> str:
        """The line of sources.list for the archive NAME."""
        suite = suite or (f"{self.suite}-security" if name == "security" else self.suite)
        return f"deb [{options}] {self.url}/{name} {suite} main"

    def configure(self, *lines: str) -> None:
        """Make LINES the sources, all of them."""
        (self.tree / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in lines))

    def install(self, name: str, version: str, **fields: str) -> None:
        """Put a toy package onto the tree with dpkg."""
        deb = build_deb(self.tree, name, version, **fields)
        self.run("dpkg", "--install", f"/{deb.name}")
        deb.unlink()

    def run(self, *argv: str) -> str:
        """Output of a command in the tree, which must succeed."""
        return subprocess.run(["chroot", str(self.tree), *argv], check=True, text=True,
                              capture_output=True).stdout

    def publish(self, hours_ago: int = 0) -> None:
        """Both archives, signed."""
        self.main.publish(self.key, age=timedelta(hours=hours_ago))
        self.security.publish(self.key, age=timedelta(hours=hours_ago))

    def check(self, *args: str) -> running.Checked:
        """What img-check says of its packages."""
        return running.check(self.tree, "--only", IDS, *args)

    def updates(self, *args: str) -> dict[str, str]:
        """{package: code} of all updates of toy packages."""
        checked = self.check(*args)
        return {finding["package"]["name"]: finding["code"]
                for check in ("security-updates", "package-updates")
                for finding in checked.of(check)["findings"]}


@pytest.fixture
def toy(tree: Tree, suite: str, tmp_path: Path, keys: tuple[Key, Key]) -> Iterator[Toy]:
    """Toy archives for each release in turn."""
    web = tmp_path / "web"
    web.mkdir()
    with served(web) as url:
        yield Toy(tree(suite, "current"), suite, web, url, keys[0])


def test_updates_of_every_kind(toy: Toy) -> None:
    """Defects 12 and 13, with the apt of the release: the archive decides, nothing is hidden."""
    for name in ("toyssl", "toy-security-notes", "toyplain", "toyheld", "toykernel", "toystuck",
                 "toyfixed", "toypinned", "toydone"):
        toy.install(name, "1.0")
        toy.main.add(name, "1.0")
    toy.security.add("toyssl", "1.1")
    toy.main.add("toy-security-notes", "1.1")
    toy.main.add("toyplain", "1.1")
    toy.security.add("toyheld", "1.1")
    toy.run("apt-mark", "hold", "toyheld")
    toy.security.add("toykernel-6.2", "1.0")
    toy.security.add("toykernel", "1.1", Depends="toykernel-6.2")  # `upgrade` keeps it back
    toy.security.add("toystuck", "1.1", Depends="not-to-be-had")  # dist-upgrade does as well
    toy.security.add("toyfixed", "1.1")
    toy.main.add("toyfixed", "1.2")  # a point release takes the fix over
    toy.security.add("toypinned", "1.1")
    (toy.tree / "etc/apt/preferences.d/pin").write_text(
        "Package: toypinned\nPin: version 1.0\nPin-Priority: 1001\n")
    toy.security.add("toydone", "0.9")
    toy.publish()
    assert toy.updates() == {
        "toyssl": "security-update-pending",
        "toy-security-notes": "update-pending",
        "toyplain": "update-pending",
        "toyheld": "security-update-held",
        "toykernel": "security-update-pending",
        "toystuck": "security-update-kept-back",
        "toyfixed": "security-update-pending",
        "toypinned": "security-update-pinned",
    }


def test_nothing_is_written_and_no_hook_runs(toy: Toy) -> None:
    """Defect 34: upstream refills the lists and caches of a cleaned image, and runs its hooks."""
    toy.install("toyssl", "1.0")
    toy.security.add("toyssl", "1.1")
    toy.publish()
    hook = '{ "touch /hooked"; };'
    (toy.tree / "etc/apt/apt.conf.d/99hooks").write_text(
        f"APT::Update::Pre-Invoke {hook}\nAPT::Update::Post-Invoke {hook}\n"
        f"APT::Update::Post-Invoke-Success {hook}\nAPT::Update::Post-Invoke-Stats {hook}\n"
        f"AptCli::Hooks::Upgrade {hook}\n"
        'APT::Periodic::Update-Package-Lists "1";\n')
    for state in ("no lists", "lists of yesterday", "lists of today"):
        if state == "lists of today":
            (toy.tree / "etc/apt/apt.conf.d/99hooks").rename(toy.tree / "root/99hooks")
            toy.run("apt-get", "update")
            (toy.tree / "root/99hooks").rename(toy.tree / "etc/apt/apt.conf.d/99hooks")
        before = trees.manifest(toy.tree)
        assert toy.updates() == {"toyssl": "security-update-pending"}
        assert trees.differences(before, trees.manifest(toy.tree)) == []


def test_new_index_is_used_and_not_kept(toy: Toy) -> None:
    """The lists on the disk say that nothing is pending; the archive has moved on since."""
    toy.install("toyssl", "1.0")
    toy.security.add("toyssl", "1.0")
    toy.publish(hours_ago=1)
    toy.run("apt-get", "update")
    assert toy.updates() == {}
    toy.security.add("toyssl", "1.1")
    toy.publish()
    before = trees.manifest(toy.tree)
    assert toy.updates("--no-refresh") == {}
    assert toy.updates() == {"toyssl": "security-update-pending"}
    assert trees.differences(before, trees.manifest(toy.tree)) == []


def test_sources_that_fail_are_named(toy: Toy, keys: tuple[Key, Key]) -> None:
    """Defect 11: for upstream each of these is a machine without pending updates."""
    toy.publish()
    toy.archive("expired", toy.suite).publish(toy.key, age=timedelta(9), valid=timedelta(7))
    toy.archive("stranger", toy.suite).publish(keys[1])
    toy.archive("unsigned", toy.suite).publish()
    broken = toy.archive("broken", toy.suite)
    broken.add("toy", "1.0")
    broken.publish(toy.key)
    index = toy.web / f"broken/dists/{toy.suite}/main/binary-amd64"
    for name in ("Packages", "Packages.gz"):
        (index / name).write_bytes(b"cut")
    good = (toy.line("main"), toy.line("security"))
    for line, why in {
        toy.line("expired"): "/expired.*its Release file has expired",
        toy.line("stranger"): "/stranger.*signed by a key that is not installed",
        toy.line("unsigned"): "/unsigned.*is not signed",
        toy.line("broken"): "/broken.*the mirror is being updated or broken",
        toy.line("gone"): "/gone.*the server does not have it",
        f"{toy.line('main')} mian": "/main.*does not have the component",
        f"deb http://127.0.0.1:1/debian {toy.suite} main": ":1/debian.*cannot be reached",
        f"deb http://me:pw@no-such-host.invalid/debian {toy.suite} main":
            "//no-such-host.invalid/debian.*cannot be resolved",
        "deb foo": "list file /etc/apt/sources.list.*apt cannot read this source",
    }.items():
        toy.configure(*good, line)
        checked = toy.check()
        for check in ("security-updates", "package-updates"):
            result = checked.of(check)
            assert result["status"] == "error", line
            assert re.search(why, result["message"]), (line, result["message"])
            assert "me:pw" not in str(checked.report)
        assert checked.code == 3


def test_dead_mirror_with_lists_on_the_disk(toy: Toy) -> None:
    """apt then says `old ones used instead`, and by itself ends with 0."""
    toy.publish()
    toy.run("apt-get", "update")
    shutil.rmtree(toy.web / "security")
    result = toy.check().of("security-updates")
    assert (result["status"], "/security" in result["message"]) == ("error", True)
    assert toy.check("--no-refresh").of("security-updates")["status"] == "pass"


def test_without_indexes_and_refresh_nothing_is_said(toy: Toy) -> None:
    toy.publish()
    checked = toy.check("--no-refresh")
    for check in ("security-updates", "package-updates"):
        assert checked.of(check)["status"] == "error"
        assert "no package index" in checked.of(check)["message"]


def test_cut_off_index_is_fetched_again_or_refused(toy: Toy) -> None:
    """apt itself keeps it while its Release file stays the same, and finds nothing in it."""
    toy.install("toyssl", "1.0")
    toy.security.add("toyssl", "1.1")
    toy.publish()
    toy.run("apt-get", "update")
    (index,) = (toy.tree / "var/lib/apt/lists").glob("*security*_Packages*")
    index.write_bytes(index.read_bytes()[:10])
    assert "cut off or damaged" in toy.check("--no-refresh").of("security-updates")["message"]
    assert toy.updates() == {"toyssl": "security-update-pending"}


def test_tree_without_devices(toy: Toy) -> None:
    toy.publish()
    (toy.tree / "dev/null").unlink()
    before = trees.manifest(toy.tree)
    result = toy.check().of("security-updates")
    assert result["status"] == "error"
    assert f"mount --bind /dev {toy.tree}/dev" in result["message"]
    assert trees.differences(before, trees.manifest(toy.tree)) == []


def test_sources_of_every_form_are_matched_with_what_apt_says(toy: Toy) -> None:
    """deb822, an embedded key, a password in the URI, a flat local archive, architectures."""
    names = ("toya", "toyb", "toyc")
    for name in names:
        toy.install(name, "1.0")
    toy.security.add("toya", "1.1")
    toy.main.add("toyb", "1.1")
    toy.publish()
    local = toy.tree / "srv/local_repo"
    local.mkdir(parents=True)
    build_deb(local, "toyc", "1.1")
    (local / "Packages").write_text(
        "Package: toyc\nVersion: 1.1\nArchitecture: all\nMaintainer: T <t@example.org>\n"
        f"Description: toy\nFilename: ./toyc_1.1_all.deb\nSize: 1\nSHA256: {'0' * 64}\n")
    toy.configure("deb [trusted=yes] file:///srv/local_repo/ ./")
    url = toy.url.replace("//", "//me:pw@")
    (toy.tree / "etc/apt/sources.list.d/toy.sources").write_text(
        f"Types: deb deb-src\nURIs: {url}/main/\nSuites: {toy.suite}\nComponents: main\n"
        "Signed-By: /etc/apt/toy.gpg\n\n"
        f"# the other one\nTypes: deb\nURIs: {url}/security\nSuites: {toy.suite}-security\n"
        "Components: main\nArchitectures: amd64\nSigned-By: /etc/apt/toy.gpg\n\n"
        "Types: deb\nURIs: http://127.0.0.1:1/off\nSuites: x\nComponents: main\nEnabled: no\n")
    checked = toy.check()
    assert {finding["package"]["name"]: finding["evidence"]["origin"]
            for check in ("security-updates", "package-updates")
            for finding in checked.of(check)["findings"]} == {
        "toya": f"Debian-Security {toy.suite}-security",
        "toyb": f"Debian {toy.suite}",
        "toyc": "file:/srv/local_repo ./",
    }
    findings = checked.of("repositories")["findings"]
    assert {(finding["code"], finding["path"]) for finding in findings if finding["path"]} == {
        ("unsigned-repository", "/etc/apt/sources.list"),
        ("third-party-repository", "/etc/apt/sources.list")}
    assert "me:pw" not in str(checked.report)


def test_missing_security_archive_is_found(toy: Toy) -> None:
    toy.publish()
    toy.configure(toy.line("main"))
    checked = toy.check()
    assert ("repositories", "no-security-repository", "fail") in checked.found()
    result = checked.of("security-updates")
    assert result["status"] == "error"
    assert f"{toy.suite}-security main" in result["message"]


def test_states_of_packages(toy: Toy) -> None:
    toy.publish()
    toy.install("toywhole", "1.0")
    deb = build_deb(toy.tree, "toyhalf", "1.0")
    toy.run("dpkg", "--unpack", f"/{deb.name}")
    deb.unlink()
    toy.install("toyneeded", "1.0")
    toy.install("toyneedy", "1.0", Depends="toyneeded")
    toy.run("dpkg", "--remove", "--force-depends", "toyneeded")
    toy.run("apt-mark", "hold", "toywhole")
    findings = toy.check().of("package-state")["findings"]
    assert {(finding["package"]["name"], finding["code"]) for finding in findings} == {
        ("toyhalf", "not-installed-whole"), ("toyneedy", "unmet-dependency"), ("toywhole", "held")}


def test_package_that_no_archive_has(toy: Toy) -> None:
    toy.install("toylocal", "1.0")
    toy.install("toyknown", "1.0")
    toy.main.add("toyknown", "1.0")
    toy.publish()
    toy.configure(toy.line("main"), *debian(toy.suite))
    findings = toy.check().of("repositories")["findings"]
    assert [(finding["code"], finding["package"]["name"]) for finding in findings] == [
        ("package-without-repository", "toylocal")]


@pytest.mark.parametrize("kind", trees.KINDS)
def test_debians_own_archives_as_apt_sees_them(tree: Tree, suite: str, kind: str) -> None:
    """Every update that a dist-upgrade would install and no other, those of security told apart."""
    top = tree(suite, kind)
    (top / "etc/resolv.conf").write_text(Path("/etc/resolv.conf").read_text())
    (top / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in debian(suite)))
    checked = running.check(top, "--only", IDS)
    ours = {finding["package"]["name"]: check for check in ("security-updates", "package-updates")
            for finding in checked.of(check)["findings"]}
    subprocess.run(["chroot", str(top), "apt-get", "-q", "update"], check=True, capture_output=True)
    plan = subprocess.run(["chroot", str(top), "apt-get", "-s", "dist-upgrade"], check=True,
                          capture_output=True, text=True).stdout
    theirs = dict(re.findall(r"^Inst (\S+) \[\S+\] \(\S+ (.*)\)", plan, re.M))
    assert ours.keys() == theirs.keys()
    assert {name for name, origins in theirs.items() if "Debian-Security" in origins} <= {
        name for name, check in ours.items() if check == "security-updates"}
    for check in ("package-state", "repositories"):
        assert checked.of(check)["status"] == "pass", checked.of(check)
    if kind == "current":
        assert checked.report["platform"]["index_time"] is not None
