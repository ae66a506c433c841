"""The package checks with a real dnf 4 and dnf 5, over repositories of our own: every case."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rootfs import dirt, el, trees
from tests.rootfs.debrepo import served
from tests.rootfs.el import El

UNPROVEN = "security-unproven-pending"


@pytest.fixture(params=el.SUITES)
def system(make: Callable[..., El], request: pytest.FixtureRequest) -> El:
    """Rocky 9 with toyssl and toytool, which its repository offers as well."""
    found = make(request.param)
    for name in ("toyssl", "toytool"):
        found.install(name, "1.0-1.el9")
        found.base.add(name, "1.0-1.el9")
    return found


def newer(system: El, *, advised: bool = True) -> None:
    """Offer a security update of toyssl and a bugfix of toytool in a repository `updates`."""
    repo = system.repo("updates")
    repo.add("toyssl", "1.0-2.el9")
    repo.add("toytool", "1.0-2.el9")
    if advised:
        repo.advise("TOYSA-2026:1", "security", "toyssl", "1.0-2.el9")
        repo.advise("TOYBA-2026:2", "bugfix", "toytool", "1.0-2.el9")


def results(system: El, *args: str) -> dict[str, str]:
    """{check: status} of the two that look for updates."""
    checked = system.check(*args)
    return {check: checked.of(check)["status"] for check in ("security-updates", "package-updates")}


# -- the matrix ----------------------------------------------------------------------------------


def test_nothing_is_pending(system: El) -> None:
    system.publish()
    assert results(system) == {"security-updates": "pass", "package-updates": "pass"}


def test_an_update_that_is_no_security_update(system: El) -> None:
    """Defect 14: a blank line of yum's counts as an update, with the real tools."""
    repo = system.repo("updates")
    repo.add("toytool", "1.0-2.el9")
    repo.advise("TOYBA-2026:2", "bugfix", "toytool", "1.0-2.el9")
    system.publish()
    assert system.updates() == {"toytool": "update-pending"}
    assert results(system) == {"security-updates": "pass", "package-updates": "warn"}


def test_a_security_update_with_its_advisory(system: El) -> None:
    """Defect 14: upstream counts lines and names no package."""
    newer(system)
    system.publish()
    checked = system.check()
    (finding,) = checked.of("security-updates")["findings"]
    assert finding["package"] == {"name": "toyssl", "installed": "1.0-1.el9",
                                  "candidate": "1.0-2.el9"}
    assert finding["evidence"] == {"origin": "updates", "advisories": "TOYSA-2026:1"}
    assert "TOYSA-2026:1" in finding["message"]
    assert system.updates() == {"toyssl": "security-update-pending", "toytool": "update-pending"}
    assert checked.code == 1
    assert checked.report["platform"]["index_time"]


@pytest.mark.parametrize("updateinfo", [None, '<?xml version="1.0"?>\n<updates></updates>'],
                         ids=["no updateinfo", "empty updateinfo"])
def test_a_repository_without_advisories_proves_nothing(
    system: El, updateinfo: str | None
) -> None:
    """Defect 14: for upstream CentOS 7 and CentOS Stream never lack a security update."""
    newer(system, advised=False)
    system.publish()
    system.repos["updates"].publish(updateinfo)
    assert system.updates() == {"toyssl": UNPROVEN, "toytool": UNPROVEN}
    finding = system.check().of("security-updates")["findings"][0]
    assert "updates publishes no advisories" in finding["message"]


@pytest.mark.parametrize(("uri", "why"), [
    ("http://127.0.0.1:1/gone", "cannot be reached"),
    ("file:///srv/repos/none", "does not have it"),
    ("http://no-such-host.invalid/x", "resolved|cannot be reached"),
])
def test_a_repository_that_is_unreachable_is_an_error(system: El, uri: str, why: str) -> None:
    """Defect 14: an exit code of 1 is "no security updates", and skip_if_unavailable hides it."""
    newer(system)
    system.publish()
    system.configure(system.section("gone", uri, "skip_if_unavailable=1"))
    checked = system.check()
    for check in ("security-updates", "package-updates"):
        result = checked.of(check)
        assert result["status"] == "error"
        assert "repository gone" in result["message"]
        assert re.search(why, result["message"]), result["message"]
    assert checked.code == 3


def test_a_server_that_says_404_with_a_password_in_its_address(system: El, tmp_path: Path) -> None:
    system.publish()
    with served(tmp_path) as url:
        system.configure(system.section("gone", f"{url.replace('//', '//me:pw@')}/none"))
        checked = system.check()
    result = checked.of("security-updates")
    assert result["status"] == "error"
    assert "repository gone" in result["message"]
    assert "me:pw" not in str(checked.report)


@pytest.mark.parametrize("broken", ["repomd.xml", "primary", "updateinfo", "not XML"])
def test_broken_metadata_is_an_error(system: El, broken: str) -> None:
    """With updateinfo that it cannot read dnf 4 finds no advisory, and says nothing."""
    newer(system)
    system.publish()
    repodata = system.repos["updates"].top / "repodata"
    if broken == "repomd.xml":
        (repodata / "repomd.xml").write_text("<html>")
    elif broken == "not XML":
        system.repos["updates"].publish("garbage" * 100)
    else:
        (path,) = repodata.glob(f"*{broken}.xml*")
        path.write_bytes(gzip.compress(b"cut"))
    result = system.check().of("security-updates")
    assert result["status"] == "error"
    assert "repository updates" in result["message"]


def test_no_repository_is_enabled(system: El) -> None:
    """Defect 14: nothing enabled is nothing found, and a pass."""
    newer(system)
    system.publish()
    path = system.tree / "etc/yum.repos.d/toy.repo"
    path.write_text(path.read_text().replace("gpgcheck=1", "gpgcheck=1\nenabled=0"))
    checked = system.check()
    for check in ("security-updates", "package-updates"):
        result = checked.of(check)
        assert result["status"] == "error"
        assert "no repository is enabled" in result["message"]
    assert ("repositories", "no-repository", "fail") in checked.found()


def test_a_file_of_repositories_that_dnf_passes_over_is_an_error(system: El) -> None:
    system.publish()
    (system.tree / "etc/yum.repos.d/bad.repo").write_text("garbage\n[x]\n")
    result = system.check().of("security-updates")
    assert result["status"] == "error"
    assert "/etc/yum.repos.d/bad.repo line 1" in result["message"]


@pytest.mark.parametrize(("release", "code"), [
    ("almalinux-10", "security-update-pending"), ("centos-7", UNPROVEN),
    ("centos-stream-9", UNPROVEN)])
def test_other_releases(make: Callable[..., El], release: str, code: str) -> None:
    system = make("dnf4", release)
    system.install("toyssl", "1.0-1.el9")
    newer(system, advised=code != UNPROVEN)
    system.publish()
    assert system.updates()["toyssl"] == code


# -- more than the matrix ------------------------------------------------------------------------


def test_what_a_plain_upgrade_passes_over_is_seen(system: El) -> None:
    """Defects 12 and 14: held back, excluded, taken over by a later version, or a second name."""
    repo = system.repo("updates")
    for name in ("toylocked", "toyout", "toyfixed", "toyold"):
        system.install(name, "1:1.0-1.el9")
    for name in ("toylocked", "toyout"):
        repo.add(name, "1:1.0-2.el9")
        repo.advise(f"TOYSA-{name}", "security", name, "1:1.0-2.el9")
    repo.add("toyfixed", "1:1.2-1.el9")
    repo.advise("TOYSA-fixed", "security", "toyfixed", "1:1.1-1.el9")
    repo.advise("TOYBA-fixed", "bugfix", "toyfixed", "1:1.2-1.el9")
    repo.advise("TOYSA-done", "security", "toyold", "1:0.9-1.el9")
    repo.add("toyold", "1:1.0-3.el9")
    repo.add("toynew", "9-1.el9", more="Obsoletes: toytool < 9\nProvides: toytool = 9")
    conf = system.tree / "etc/dnf/dnf.conf"
    conf.write_text(f"{conf.read_text()}exclude=toyo*t\n")
    (system.tree / "etc/dnf/plugins").mkdir(exist_ok=True)
    (system.tree / "etc/dnf/plugins/versionlock.list").write_text("toylocked-1:1.0-1.el9.*\n")
    system.publish()
    assert system.updates() == {
        "toylocked": "security-update-held", "toyout": "security-update-pinned",
        "toyfixed": "security-update-pending", "toyold": "update-pending"}
    fixes = {finding["package"]["name"]: finding["remediation"]
             for finding in system.check().of("security-updates")["findings"]}
    assert "versionlock delete toylocked" in fixes["toylocked"]
    assert "/etc/dnf/dnf.conf" in fixes["toyout"]


def test_an_update_that_cannot_be_installed_is_pending(system: El) -> None:
    """Defect 12: dnf does not say what it would pass over; no pass, whatever stands in the way."""
    repo = system.repo("updates")
    repo.add("toyssl", "1.0-2.el9", more="Requires: not-there")
    repo.advise("TOYSA-2026:1", "security", "toyssl", "1.0-2.el9")
    system.publish()
    assert system.updates() == {"toyssl": "security-update-pending"}
    conf = system.tree / "etc/dnf/dnf.conf"  # EL's has best=True
    report = dirt.img_clean(system.tree, "--yes", "--only", "package-upgrade", codes=(1,))
    assert [*dirt.failures(report)] == ["package-upgrade"]
    assert "not-there" in str(report)
    conf.write_text(conf.read_text().replace("best=True", "best=False"))
    dirt.img_clean(system.tree, "--yes", "--only", "package-upgrade")
    assert system.updates() == {"toyssl": "security-update-pending"}


def test_nothing_on_the_disk_changes(system: El) -> None:
    """Defect 34, on the RHEL family: upstream's yum leaves 17 files and four logs."""
    newer(system)
    system.publish()
    for state in ("no cache", "a cache", "a cache and no files of SQLite"):
        if state == "a cache":
            system.chroot("dnf" if system.tool == "dnf4" else "dnf5", "-q", "makecache")
        elif state != "no cache":
            for path in system.tree.glob("var/lib/rpm/rpmdb.sqlite-*"):
                path.unlink()
        before = trees.manifest(system.tree)
        for args in ((), ("--no-refresh",)):
            system.check(*args)
            assert trees.differences(before, trees.manifest(system.tree)) == []
        assert system.updates()["toyssl"] == "security-update-pending"


def test_metadata_of_the_disk_and_fresh_ones(system: El) -> None:
    """The cache says that nothing is pending; the repository has moved on since."""
    system.publish()
    assert results(system, "--no-refresh")["security-updates"] == "error"
    assert "makecache" in system.check("--no-refresh").of("security-updates")["message"]
    system.chroot("dnf" if system.tool == "dnf4" else "dnf5", "-q", "makecache")
    assert results(system, "--no-refresh")["security-updates"] == "pass"
    system.base.add("toyssl", "1.0-2.el9")
    system.base.advise("TOYSA-2026:1", "security", "toyssl", "1.0-2.el9")
    system.publish()
    assert system.updates("--no-refresh") == {}
    assert system.updates() == {"toyssl": "security-update-pending"}


def test_repositories(system: El) -> None:
    system.install("toylocal", "1-1.el9")
    system.publish()
    system.configure(
        "[third]\nname=x\nbaseurl=file:///srv/repos/baseos\ngpgcheck=0\n",
        "[plain]\nname=x\nbaseurl=http://127.0.0.1:1/x\ngpgcheck=0\nenabled=0\n")
    found = {(finding["code"], finding["package"] and finding["package"]["name"])
             for finding in system.check().of("repositories")["findings"]}
    assert found == {("unsigned-repository", None), ("third-party-repository", None),
                     ("package-without-repository", "toylocal")}


def test_states_of_packages(system: El) -> None:
    """An unmet dependency, and an upgrade that ended before the old version was removed."""
    system.install("toyneedy", "1-1.el9", more="Requires: not-to-be-had")
    built = el.build_rpm(system.tree / "srv", "toytool", "1.1-1.el9")
    system.chroot("rpm", "-i", "--nosignature", "--force", f"/srv/{built.name}")
    system.install("kernel-core", "5.14.0-1.el9")
    built = el.build_rpm(system.tree / "srv", "kernel-core", "5.14.0-2.el9")
    system.chroot("rpm", "-i", "--nosignature", "--force", f"/srv/{built.name}")
    system.publish()
    findings = system.check().of("package-state")["findings"]
    assert {(finding["package"]["name"], finding["code"]) for finding in findings} == {
        ("toyneedy", "unmet-dependency"), ("toytool", "installed-twice")}
    assert "not-to-be-had" in str(findings)
