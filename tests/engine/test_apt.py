"""The apt backend over trees from dicts and an apt that only talks; real apt: tests/rootfs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from img_tools.model import Undecided
from img_tools.packages import Reason, Update, apt_policy, dpkg
from img_tools.packages.apt import Apt
from img_tools.packages.apt_errors import demand_updated
from img_tools.packages.apt_release import System, parse_release
from img_tools.packages.apt_sources import Source, insecure_setting, list_name, read, site
from img_tools.rootfs import RootFS
from img_tools.runner import CommandError, CommandMissing, Completed, Runner
from img_tools.scratch import Scratch
from tests.support import Fifo, File, Link, build

LISTS = "/var/lib/apt/lists"
MAIN = "deb http://deb.debian.org/debian bookworm main\n"
SECURITY = "deb http://deb.debian.org/debian-security bookworm-security main\n"


def release(origin: str, label: str, suite: str, codename: str, size: int = 8,
            date: str = "Sat, 01 Nov 2025 10:00:00 UTC") -> str:
    """A Release file that lists one index of SIZE bytes."""
    return (f"Origin: {origin}\nLabel: {label}\nSuite: {suite}\nCodename: {codename}\n"
            f"Date: {date}\nSHA256:\n {'0' * 64} {size} main/binary-amd64/Packages\n"
            "-----BEGIN PGP SIGNATURE-----\n")


DEBIAN = release("Debian", "Debian", "oldstable", "bookworm")
DEBIAN_SECURITY = release("Debian", "Debian-Security", "oldstable-security", "bookworm-security",
                          date="Sun, 02 Nov 2025 09:30:00 UTC")
MAIN_STEM = f"{LISTS}/deb.debian.org_debian_dists_bookworm_"
SECURITY_STEM = f"{LISTS}/deb.debian.org_debian-security_dists_bookworm-security_"
INDEX = "main_binary-amd64_Packages"
LISTED: Mapping[str, object] = {
    f"{MAIN_STEM}InRelease": DEBIAN, f"{MAIN_STEM}{INDEX}": "12345678",
    f"{SECURITY_STEM}InRelease": DEBIAN_SECURITY, f"{SECURITY_STEM}{INDEX}": "12345678",
}
AT_MAIN = "http://deb.debian.org/debian bookworm/main amd64 Packages"
AT_SECURITY = "http://deb.debian.org/debian-security bookworm-security/main amd64 Packages"


def stanza(name: str, version: str, status: str = "install ok installed",
           arch: str = "amd64") -> str:
    """An entry of dpkg's status file."""
    return f"Package: {name}\nStatus: {status}\nArchitecture: {arch}\nVersion: {version}\n\n"


def table(name: str, installed: str, candidate: str, *versions: tuple[str, str]) -> str:
    """What `apt-cache policy` prints; VERSIONS are (version, place or "") from the newest on."""
    text = f"{name}:\n  Installed: {installed}\n  Candidate: {candidate}\n  Version table:\n"
    for version, place in versions:
        mine = version == installed
        text += f"{' *** ' if mine else '     '}{version} 500\n"
        text += f"        500 {place}\n" if place else ""
        text += "        100 /var/lib/dpkg/status\n" if mine else ""
    return text


class TalkingApt(Runner):
    """Answers for apt-get and apt-cache; `fetched` is what an update puts into its lists."""

    def __init__(
        self, top: str, policy: str = "", *, simulation: str = "", update: object = (0, "", ""),
        check: object = (0, "", ""), fetched: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(top)
        self.answers = {"update": update, "policy": (0, policy, ""), "check": check,
                        "dist-upgrade": (0, simulation, "")}
        self.fetched = fetched or {}
        self.calls: list[str] = []
        self.configuration: dict[str, str] = {}
        self.tmp: list[str | None] = []

    def __call__(
        self, *argv: str, ok: Sequence[int] = (0,), env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        verb = next(word for word in argv if word in self.answers)
        self.calls.append(verb)
        self.tmp.append((env or {}).get("TMPDIR"))
        if "-c" in argv:
            path = argv[argv.index("-c") + 1]
            self.configuration[verb] = (Path(self.top) / path.lstrip("/")).read_text()
            if verb == "update":
                lists = Path(self.top) / os.path.dirname(path).lstrip("/") / "lists"
                for name, content in self.fetched.items():
                    (lists / name).unlink(missing_ok=True)
                    build(lists, {f"/{name}": content})
        answer = self.answers[verb]
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, tuple)
        code, out, err = answer
        if code not in ok:
            raise CommandError(argv, f"exited with {code}", out, err)
        return Completed(tuple(argv), code, out, err)


Make = Callable[..., tuple[Apt, TalkingApt]]


@pytest.fixture
def apt(tmp_path: Path) -> Make:
    """apt(files, policy, ...) -> (backend, runner) over a bookworm with main and security."""

    def make(files: Mapping[str, object] | None = None, policy: str = "", *,
             refresh: bool = False, **answers: object) -> tuple[Apt, TalkingApt]:
        top = tmp_path / "image"
        os.makedirs(top, exist_ok=True)
        build(top, {
            "/etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
            "/etc/apt/sources.list": MAIN + SECURITY,
            "/var/lib/dpkg/status": stanza("toy", "1.0"),
            "/dev/null": Fifo(), "/tmp": {}, **LISTED, **(files or {}),
        })
        runner = TalkingApt(str(top), policy, **answers)  # type: ignore[arg-type]
        root = RootFS(str(top))
        return Apt(root, runner, Scratch(root), refresh=refresh), runner

    return make


# -- sources -------------------------------------------------------------------------------------


def sources(tmp_path: Path, files: Mapping[str, object]) -> list[tuple[str, int, str, str]]:
    build(tmp_path, files)
    return [(source.path.rsplit("/", 1)[1], source.line, source.uri, source.suite)
            for source in read(RootFS(str(tmp_path)), "amd64")]


def test_one_line_sources(tmp_path: Path) -> None:
    assert sources(tmp_path, {"/etc/apt/sources.list": (
        "# deb http://commented.example/ bookworm main\n"
        "deb-src http://source.example/ bookworm main\n"
        "\n"
        "  deb   http://a.example/debian   bookworm  main contrib # why\n"
        "deb [ arch=amd64,arm64 signed-by=/k ] http://b.example/$(ARCH) bookworm main\n"
        "deb http://c.example/ ./\n"
        "deb cdrom:[Debian GNU/Linux 12 _Bookworm_ #1]/ bookworm main\n"
        "deb truncated\n"
    )}) == [
        ("sources.list", 4, "http://a.example/debian", "bookworm"),
        ("sources.list", 5, "http://b.example/amd64", "bookworm"),
        ("sources.list", 6, "http://c.example/", "./"),
        ("sources.list", 7, "cdrom:[Debian GNU/Linux 12 _Bookworm_ #1]/", "bookworm"),
    ]


def test_only_files_that_apt_reads(tmp_path: Path) -> None:
    line = "deb http://a.example/ x main\n"
    assert sources(tmp_path, {
        "/etc/apt/sources.list.d/a.list": line,
        "/etc/apt/sources.list.d/b.list.disabled": line,
        "/etc/apt/sources.list.d/c.list.save": line,
        "/etc/apt/sources.list.d/d e.list": line,
        "/etc/apt/sources.list.d/.f.list": line,
    }) == [("a.list", 1, "http://a.example/", "x")]


def test_deb822_sources(tmp_path: Path) -> None:
    assert sources(tmp_path, {"/etc/apt/sources.list.d/debian.sources": (
        "# a comment\n"
        "Types: deb deb-src\n"
        "URIs: http://a.example http://b.example\n"
        "Suites: bookworm\n"
        "# a comment inside\n"
        " bookworm-updates\n"
        "Components: main\n"
        "Signed-By:\n"
        " -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
        " .\n"
        " Types: deb\n"
        "\n"
        "types: deb\n"
        "uris: http://off.example\n"
        "suites: x\n"
        "enabled: No\n"
        "\n"
        "Types: deb-src\n"
        "URIs: http://src.example\n"
        "Suites: x\n"
    )}) == [
        ("debian.sources", 2, "http://a.example", "bookworm"),
        ("debian.sources", 2, "http://a.example", "bookworm-updates"),
        ("debian.sources", 2, "http://b.example", "bookworm"),
        ("debian.sources", 2, "http://b.example", "bookworm-updates"),
    ]


@pytest.mark.parametrize(("text", "name"), [
    ("deb [trusted=yes] http://a.example/ x main\n", "a.list"),
    ("deb [arch=amd64 Trusted=yes] http://a.example/ x main\n", None),
    ("deb [trusted=no] http://a.example/ x main\n", None),
    ("Types: deb\nURIs: http://a.example\nSuites: x\nComponents: main\nTrusted: yes\n",
     "a.sources"),
])
def test_trusted_sources(tmp_path: Path, text: str, name: str | None) -> None:
    end = "sources" if text.startswith("Types") else "list"
    build(tmp_path, {f"/etc/apt/sources.list.d/a.{end}": text})
    (source,) = read(RootFS(str(tmp_path)), "amd64")
    assert source.trusted is (name is not None)


@pytest.mark.parametrize(("configuration", "found"), [
    ('APT::Get::AllowUnauthenticated "true";', True),
    ('Acquire { AllowInsecureRepositories "yes"; };', True),
    ('// APT::Get::AllowUnauthenticated "true";', False),
    ('/* AllowUnauthenticated "true"; */', False),
    ('APT::Get::AllowUnauthenticated "true";\nAPT::Get::AllowUnauthenticated "0";', False),
])
def test_settings_that_let_unsigned_packages_in(
    tmp_path: Path, configuration: str, found: bool
) -> None:
    build(tmp_path, {"/etc/apt/apt.conf.d/99x": configuration})
    assert (insecure_setting(RootFS(str(tmp_path))) is not None) is found


@pytest.mark.parametrize(("uri", "suite", "stem"), [
    ("http://deb.debian.org/debian", "bookworm", "deb.debian.org_debian_dists_bookworm_"),
    ("https://u:p@x.example:8080/a_b/", "x", "x.example:8080_a%5fb_dists_x_"),
    ("http://security.debian.org", "buster/updates", "security.debian.org_dists_buster_updates_"),
    ("file:/srv/repo", "x", "_srv_repo_dists_x_"),
    ("file:///srv/repo", "x", "_srv_repo_dists_x_"),
    ("http://x.example/flat", "./", "x.example_flat_._"),
    ("mirror+file:/etc/apt/mirrors/debian.list", "x", "_etc_apt_mirrors_debian.list_dists_x_"),
    ("cdrom:[A B]/", "x", "%5bA%20B%5d_dists_x_"),
])
def test_names_of_index_files(uri: str, suite: str, stem: str) -> None:
    assert Source("/x", 1, uri, suite, ("main",)).stem == stem


def test_no_password_of_a_uri_is_shown() -> None:
    assert site("https://user:s3cret@x.example/a/") == "https://x.example/a"
    assert "s3cret" not in list_name("https://user:s3cret@x.example/a")
    assert site("https://user:s3/cr@x.example/a") != "https://x.example/a"  # not a valid URI


def test_no_password_of_a_damaged_line_is_shown(apt: Make) -> None:
    """Without its closing bracket the address stands where the suite should."""
    line = "deb [signed-by=/x.gpg https://user:s3cret@x.example/a stable main\n"
    backend, _ = apt({"/etc/apt/sources.list": MAIN + line})
    assert [source.suite for source in backend.repositories][1] == "https://x.example/a"


# -- what is a security archive ------------------------------------------------------------------


@pytest.mark.parametrize(("head", "security"), [
    (("Debian", "Debian", "oldstable", "bookworm"), False),
    (("Debian", "Debian", "oldstable-updates", "bookworm-updates"), False),
    (("Debian", "Debian-Security", "oldstable-security", "bookworm-security"), True),
    (("Debian", "Debian-Security", "oldoldstable", "buster"), True),
    (("Ubuntu", "Ubuntu", "jammy-security", "jammy"), True),
    (("Ubuntu", "Ubuntu", "jammy-updates", "jammy"), False),
    (("UbuntuESM", "UbuntuESM", "jammy-infra-security", "jammy"), True),
    (("UbuntuESMApps", "UbuntuESMApps", "jammy-apps-updates", "jammy"), False),
    (("security.example", "security tools", "stable", "stable"), False),
])
def test_security_archives(head: tuple[str, str, str, str], security: bool) -> None:
    assert parse_release(release(*head)).security is security


def test_security_updates_of_another_release_do_not_count_as_ours() -> None:
    system = System("debian", "12", "bookworm")
    trixie = parse_release(release("Debian", "Debian-Security", "stable-security",
                                   "trixie-security"))
    source = Source("/x", 1, "http://deb.debian.org/debian-security", "trixie-security", ("main",))
    assert not system.security(source, trixie)
    assert not system.security(source, None)


@pytest.mark.parametrize(("text", "line"), [
    ("ID=debian\nVERSION_ID=\"9\"\nVERSION=\"9 (stretch)\"\n",
     "deb http://archive.debian.org/debian-security stretch/updates main"),
    ("ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n",
     "deb http://deb.debian.org/debian-security trixie-security main"),
    ("ID=ubuntu\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\n",
     "deb http://security.ubuntu.com/ubuntu noble-security main restricted universe multiverse"),
])
def test_line_that_brings_security_updates(tmp_path: Path, text: str, line: str) -> None:
    build(tmp_path, {"/etc/os-release": text})
    assert System.read(RootFS(str(tmp_path))).security_line == line


# -- updates -------------------------------------------------------------------------------------


def test_nothing_is_pending(apt: Make) -> None:
    backend, runner = apt({}, table("toy", "1.0", "1.0", ("1.0", AT_MAIN)))
    assert backend.updates.all == ()
    assert backend.updates.index_time == "2025-11-02T09:30:00+00:00"
    assert backend.unavailable == ()
    assert runner.calls == ["policy"]  # no simulation when there is nothing to simulate


def test_security_update_is_told_by_its_archive(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.1", ("1.1", AT_SECURITY), ("1.0", AT_MAIN)),
                     simulation="Inst toy [1.0] (1.1 Debian-Security:12/oldstable-security [all])")
    assert backend.updates.all == (
        Update("toy", "1.0", "1.1", "Debian-Security bookworm-security", True, Reason.PENDING),)


def test_security_in_a_name_is_no_security_update(apt: Make) -> None:
    """Defect 13: upstream greps for "security", so that modsecurity-crs from stable is a FAIL."""
    backend, _ = apt({"/var/lib/dpkg/status": stanza("modsecurity-crs", "3.3.4-1")},
                     table("modsecurity-crs", "3.3.4-1", "3.3.5-1", ("3.3.5-1", AT_MAIN),
                           ("3.3.4-1", "")), simulation="Inst modsecurity-crs [3.3.4-1] (3.3.5-1)")
    assert [update.security for update in backend.updates.all] == [False]


def test_kept_back_security_update_is_seen(apt: Make) -> None:
    """Defect 12: upstream simulates `upgrade`, where packages kept back do not appear at all."""
    backend, _ = apt({}, table("toy", "1.0", "1.1", ("1.1", AT_SECURITY), ("1.0", AT_MAIN)),
                     simulation="The following packages have been kept back:\n  toy\n")
    (update,) = backend.updates.all
    assert (update.security, update.reason) == (True, Reason.KEPT_BACK)
    assert backend.remedy(update) == "apt-get update && apt-get install toy"


def test_fix_that_a_later_version_has_taken_over_is_missing_all_the_same(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.2", ("1.2", AT_MAIN), ("1.1", AT_SECURITY),
                               ("1.0", "")), simulation="Inst toy [1.0] (1.2 Debian:12 [all])")
    (update,) = backend.updates.all
    assert (update.candidate, update.security) == ("1.2", True)


def test_fix_that_is_older_than_what_is_installed_does_not_count(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.2", ("1.2", AT_MAIN), ("1.0", AT_MAIN),
                               ("0.9", AT_SECURITY)), simulation="Inst toy [1.0] (1.2 D [all])")
    assert [update.security for update in backend.updates.all] == [False]


def test_held_package(apt: Make) -> None:
    backend, _ = apt({"/var/lib/dpkg/status": stanza("toy", "1.0", "hold ok installed")},
                     table("toy", "1.0", "1.1", ("1.1", AT_SECURITY), ("1.0", AT_MAIN)))
    (update,) = backend.updates.all
    assert (update.security, update.reason) == (True, Reason.HELD)
    assert backend.remedy(update) == "apt-mark unhold toy && apt-get install toy"


def test_security_update_that_a_pin_hides(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.0", ("1.1", AT_SECURITY), ("1.0", AT_MAIN)))
    (update,) = backend.updates.all
    assert (update.security, update.reason) == (True, Reason.PINNED)


def test_security_update_that_a_pin_hides_behind_an_older_update(apt: Make) -> None:
    """The point release has 1.1, which apt would choose; 1.2 closes the hole and is pinned away."""
    backend, _ = apt({}, table("toy", "1.0", "1.1", ("1.2", AT_SECURITY), ("1.1", AT_MAIN),
                               ("1.0", AT_MAIN)), simulation="Inst toy [1.0] (1.1 Debian:12 [all])")
    assert [(update.candidate, update.security, update.reason)
            for update in backend.updates.all] == [
        ("1.1", False, Reason.PENDING), ("1.2", True, Reason.PINNED)]


@pytest.mark.parametrize("security", [
    SECURITY.replace("deb ", "deb [arch=arm64] "), SECURITY.replace(" main", " contrib")])
def test_security_archive_without_what_the_system_is_made_of_does_not_count(
        apt: Make, security: str) -> None:
    backend, _ = apt({"/etc/apt/sources.list": MAIN + security})
    assert security != SECURITY
    assert not any(item.security for item in backend.repositories)


def test_newer_version_of_a_release_with_low_priority_is_no_update(apt: Make) -> None:
    trixie = "deb http://deb.debian.org/debian-security trixie-security main\n"
    stem = f"{LISTS}/deb.debian.org_debian-security_dists_trixie-security_"
    place = "http://deb.debian.org/debian-security trixie-security/main amd64 Packages"
    backend, _ = apt({
        "/etc/apt/sources.list": MAIN + SECURITY + trixie, f"{stem}{INDEX}": "12345678",
        f"{stem}InRelease": release("Debian", "Debian-Security", "stable-security",
                                    "trixie-security"),
    }, table("toy", "1.0", "1.0", ("2.0", place), ("1.0", AT_MAIN)))
    assert backend.updates.all == ()


def test_phased_update(apt: Make) -> None:
    text = table("toy", "1.0", "1.1", ("1.1", AT_MAIN), ("1.0", AT_MAIN)).replace(
        "     1.1 500", "     1.1 500 (phased 20%)")
    backend, _ = apt({}, text, simulation="deferred due to phasing:\n  toy\n")
    assert [update.reason for update in backend.updates.all] == [Reason.PHASED]


def test_local_build_of_the_same_version_is_no_update(apt: Make) -> None:
    """apt lists a version twice when the installed package differs from the archive's."""
    text = ("toy:\n  Installed: 1.0\n  Candidate: 1.0\n  Version table:\n     1.0 500\n"
            f"        500 {AT_SECURITY}\n *** 1.0 100\n        100 /var/lib/dpkg/status\n")
    backend, _ = apt({}, text)
    assert backend.updates.all == ()
    assert backend.unavailable == ()


def test_package_that_no_source_has(apt: Make) -> None:
    status = stanza("toy", "1.0") + stanza("local", "3.0")
    backend, _ = apt({"/var/lib/dpkg/status": status},
                     table("toy", "1.0", "1.0", ("1.0", AT_MAIN))
                     + table("local", "3.0", "3.0", ("3.0", ""), ("2.0", AT_MAIN)))
    assert [package.name for package in backend.unavailable] == ["local"]


def test_foreign_architecture_is_asked_for_by_name(apt: Make) -> None:
    status = stanza("dpkg", "1") + stanza("toy", "1.0", arch="i386") + stanza("toy", "1.0")
    text = "".join(table(name, "1.0", "1.0", ("1.0", AT_MAIN)) for name in ("toy", "toy:i386"))
    backend, _ = apt({"/var/lib/dpkg/status": status},
                     table("dpkg", "1", "1", ("1", AT_MAIN)) + text)
    assert backend.updates.all == ()


def test_package_that_apt_does_not_speak_of_is_not_up_to_date(apt: Make) -> None:
    backend, _ = apt({}, "")
    with pytest.raises(Undecided, match="says nothing of toy"):
        _ = backend.updates


def test_version_table_that_is_not_understood(apt: Make) -> None:
    backend, _ = apt({}, table("toy", "1.0", "1.0", ("1.0", AT_MAIN)) + "        what is this\n")
    with pytest.raises(Undecided, match="what is this"):
        _ = backend.updates


def test_priorities_and_pins_of_a_version_table() -> None:
    (policy,) = apt_policy.parse(
        "toy:\n  Installed: 1.0\n  Candidate: 1.0\n  Package pin: 1.0\n  Version table:\n"
        "     1.1 -32768 (phased 0%)\n       -32768 http://a.example x/main amd64 Packages\n"
        " *** 1.0 1001\n       1001 http://b.example x/main amd64 Packages\n"
        "        100 /var/lib/dpkg/status\n")
    assert [(v.text, v.phased, len(v.places)) for v in policy.versions] == [
        ("1.1", True, 1), ("1.0", False, 1)]


# -- indexes -------------------------------------------------------------------------------------

CURRENT = table("toy", "1.0", "1.0", ("1.0", AT_MAIN))


def test_no_index_on_the_disk_is_undecided_without_refresh(apt: Make) -> None:
    backend, runner = apt(dict.fromkeys(LISTED), CURRENT)
    with pytest.raises(Undecided, match=r"no package index of http://deb.debian.org/debian book"):
        _ = backend.updates
    assert runner.calls == []


def test_cut_off_index_is_undecided(apt: Make) -> None:
    backend, _ = apt({f"{SECURITY_STEM}{INDEX}": "1234567"}, CURRENT)
    with pytest.raises(Undecided, match="cut off or damaged"):
        _ = backend.updates


def test_missing_index_is_undecided(apt: Make) -> None:
    backend, _ = apt({f"{SECURITY_STEM}{INDEX}": None}, CURRENT)
    with pytest.raises(Undecided, match=r"Packages of .*bookworm-security is missing"):
        _ = backend.updates


def test_expired_index_is_undecided(apt: Make) -> None:
    """What lies on the disk longer than its archive answers for it knows no later update."""
    old = DEBIAN_SECURITY.replace("SHA256", "Valid-Until: Sun, 09 Nov 2025 09:30:00 UTC\nSHA256")
    backend, runner = apt({f"{SECURITY_STEM}InRelease": old}, CURRENT)
    with pytest.raises(Undecided, match=r"bookworm-security expired on 2025-11-09.*apt-get update"):
        _ = backend.updates
    assert runner.calls == []


def test_index_that_is_valid_still_will_do(apt: Make) -> None:
    new = DEBIAN_SECURITY.replace("SHA256", "Valid-Until: Sat, 09 Nov 2999 09:30:00 UTC\nSHA256")
    backend, _ = apt({f"{SECURITY_STEM}InRelease": new}, CURRENT)
    assert backend.updates.all == ()


def test_compressed_index_will_do(apt: Make) -> None:
    backend, _ = apt({f"{MAIN_STEM}{INDEX}": None, f"{MAIN_STEM}{INDEX}.lz4": "x"}, CURRENT)
    assert backend.updates.all == ()


def test_no_source_is_undecided(apt: Make) -> None:
    backend, _ = apt({"/etc/apt/sources.list": "# none\n"}, CURRENT)
    with pytest.raises(Undecided, match="no package source is enabled"):
        _ = backend.updates


@pytest.mark.parametrize("null", [None, ""])
def test_bare_tree_without_devices_is_undecided(apt: Make, null: object) -> None:
    """Programs that find no /dev/null make a file of it, or say that gpgv is missing."""
    backend, runner = apt({"/dev/null": null}, CURRENT)
    with pytest.raises(Undecided, match=r"mount --bind /dev .*/image/dev"):
        _ = backend.updates
    with pytest.raises(Undecided, match="mount --bind"):
        _ = backend.problems
    assert runner.calls == []


def test_refresh_writes_into_its_own_directory_and_clears_hooks(apt: Make) -> None:
    """Defect 34: upstream's apt-get update refills /var/lib/apt/lists of a cleaned image."""
    backend, runner = apt({}, CURRENT, refresh=True)
    assert backend.updates.all == ()
    configuration = runner.configuration["update"]
    lines = configuration.splitlines()
    for line in ("#clear APT::Update;", "#clear AptCli::Hooks;", 'Debug::NoLocking "true";'):
        assert line in lines
    assert lines.index("#clear APT::Update;") < lines.index('APT::Update::Error-Mode "any";')
    assert 'Dir::State::lists "/tmp/img-check.' in configuration
    assert 'Dir::Cache "/tmp/img-check.' in configuration
    assert (runner.tmp[0] or "").startswith("/tmp/img-check.")


def test_unchanged_indexes_are_read_where_they_are(apt: Make) -> None:
    """Then apt's cache of them can be used as well, which saves half a second."""
    cache = {"/var/cache/apt/pkgcache.bin": "P", "/var/cache/apt/srcpkgcache.bin": "S"}
    backend, runner = apt(cache, CURRENT, refresh=True)
    assert backend.updates.all == ()
    assert runner.calls == ["update", "policy"]
    assert f'Dir::State::lists "{LISTS}/";' in runner.configuration["policy"]


def test_changed_indexes_are_read_from_the_private_directory(apt: Make) -> None:
    stem = SECURITY_STEM.rsplit("/", 1)[1]
    backend, runner = apt({}, CURRENT, refresh=True, fetched={
        f"{stem}InRelease": DEBIAN_SECURITY.replace("02 Nov", "03 Nov").replace(" 8 ", " 9 "),
        f"{stem}{INDEX}": "123456789"})
    assert backend.updates.index_time == "2025-11-03T09:30:00+00:00"
    assert 'Dir::State::lists "/tmp/img-check.' in runner.configuration["policy"]


def test_index_that_is_cut_off_on_the_disk_is_not_handed_to_apt(apt: Make) -> None:
    """apt would keep it, as its Release file has not changed."""
    backend, _ = apt({f"{SECURITY_STEM}{INDEX}": "1234567"}, CURRENT, refresh=True)
    with pytest.raises(Undecided, match="is missing"):  # and this apt fetches nothing
        _ = backend.updates


@pytest.mark.parametrize("odd", [Fifo(), Link("/etc/shadow"), {}, File(size=9 << 20)])
def test_odd_files_among_the_indexes(apt: Make, odd: object) -> None:
    backend, _ = apt({f"{MAIN_STEM}InRelease": odd}, CURRENT, refresh=True)
    with pytest.raises(Undecided):
        _ = backend.updates


def test_nothing_is_left_behind(apt: Make, tmp_path: Path) -> None:
    root = RootFS(str(tmp_path / "image"))
    backend, _ = apt({}, CURRENT, refresh=True)
    scratch = backend._scratch
    _ = backend.updates
    assert root.listdir("/tmp")
    scratch.close()
    assert root.listdir("/tmp") == []


def test_every_answer_is_computed_once(apt: Make) -> None:
    backend, runner = apt({}, CURRENT, refresh=True)
    for _ in range(3):
        assert (backend.updates.all, list(backend.unavailable)) == ((), [])
        assert len(backend.repositories) == 2
    assert runner.calls == ["update", "policy"]


def test_without_room_for_a_cache_the_indexes_on_the_disk_still_tell(apt: Make) -> None:
    backend, runner = apt({"/tmp": None}, table("toy", "1.0", "1.1", ("1.1", AT_SECURITY),
                                                ("1.0", AT_MAIN)))
    assert [update.security for update in backend.updates.all] == [True]
    assert runner.calls == ["policy"]  # a simulation would run the image's hooks


# -- apt fails -----------------------------------------------------------------------------------

_EXPIRED = ("E: Release file for http://a.example/dists/x/InRelease is expired (invalid since "
            "2d 0h 0min 7s). Updates for this repository will not be applied.")
_NO_KEY = ("W: GPG error: http://a.example x InRelease: The following signatures couldn't be "
           "verified because the public key is not available: NO_PUBKEY FD967E15C8EBCD63\n"
           "E: The repository 'http://a.example x InRelease' is not signed.")
_SQV = ("W: OpenPGP signature verification failed: http://a.example x InRelease: Sub-process "
        "/usr/bin/sqv returned an error code (1), error message is: Missing key C1BB00B9B440, "
        "which is needed to verify signature.\n"
        "E: The repository 'http://a.example x InRelease' is not signed.")
_OLD_KEY = ("W: GPG error: http://a.example x InRelease: The following signatures were invalid: "
            "EXPKEYSIG 9333B61D07FC4638 toy <toy@example.org>\n"
            "E: The repository 'http://a.example x InRelease' is not signed.")
_GONE = "E: The repository 'http://a.example x Release' does not have a Release file."
_FORBIDDEN = "Err:2 http://a.example x Release\n  403  Forbidden [IP: 192.0.2.1 80]\n"
_DNS = ("E: Failed to fetch http://a.example/dists/x/InRelease  Could not resolve 'a.example'\n"
        "E: Some index files failed to download. They have been ignored, or old ones used instead.")
_DNS_9 = "W: Failed to fetch http://a.example/dists/x/InRelease  Temporary failure resolving 'a'"
_REFUSED = ("W: Failed to fetch http://a.example/dists/x/InRelease  Unable to connect to a:80:\n"
            "W: Some index files failed to download. They have been ignored, or old ones used.")
_SIZE = ("E: Failed to fetch http://a.example/dists/x/main/binary-amd64/Packages  File has "
         "unexpected size (211 != 209). Mirror sync in progress? [IP: 192.0.2.1 80]")
_COMPONENT = ("W: Skipping acquire of configured file 'mian/binary-amd64/Packages' as repository "
              "'http://a.example x InRelease' doesn't have the component 'mian' (misspelt?)")


@pytest.mark.parametrize(("code", "out", "err", "why"), [
    (100, "", _EXPIRED, "http://a.example/dists/x: its Release file has expired"),
    (100, "", _NO_KEY, "http://a.example x: it is signed by a key that is not installed"),
    (100, "", _SQV, "http://a.example x: it is signed by a key that is not installed"),
    (100, "", _OLD_KEY, "http://a.example x: the key that signs it has expired"),
    (100, "", _GONE, "http://a.example x: the server does not have it; .*archive.debian.org"),
    (100, _FORBIDDEN, _GONE, "http://a.example x: the server refuses access"),
    (100, "", _DNS, "a.example.*: the name of the server cannot be resolved; .*resolv.conf"),
    (0, "", _DNS_9, "cannot be resolved"),
    (0, "", _REFUSED, "a.example.*: the server cannot be reached"),
    (100, "", _SIZE, "the mirror is being updated"),
    (0, "", _COMPONENT, "http://a.example x: it does not have the component"),
    (100, "/usr/bin/apt-key: 95: cannot create /dev/null: Permission denied",
     "W: GPG error: http://a.example x InRelease: gpgv required", "cannot use /dev/null"),
    (100, "", "E: Malformed entry 1 in list file /etc/apt/sources.list (Suite)",
     "Malformed entry 1 in list file .*: apt cannot read this source"),
    (100, "", "E: something new", "E: something new"),
    (100, "", "", "does not say why"),
])
def test_failed_refresh_names_source_reason_and_cure(
    code: int, out: str, err: str, why: str
) -> None:
    """Defect 11: upstream ignores how apt-get update ended, and finds no updates pending."""
    with pytest.raises(Undecided, match=why):
        demand_updated(Completed(("apt-get", "update"), code, out, err))


@pytest.mark.parametrize("warning", [
    "W: http://a.example/dists/x/InRelease: Key is stored in legacy trusted.gpg keyring",
    "W: Target Packages (main/binary-amd64/Packages) is configured multiple times",
    "N: Skipping acquire of configured file 'main/binary-i386/Packages' as repository 'x' doesn't "
    "support architecture 'i386'",
    "W: No sandbox user '_apt' exists on the system, can not drop privileges",
])
def test_harmless_warnings_are_no_failure(warning: str) -> None:
    demand_updated(Completed(("apt-get", "update"), 0, "Hit:1 http://a.example x", warning))


def test_failed_refresh_is_undecided_and_holds_no_password(apt: Make) -> None:
    """Defect 11, and the lesson of defect 14: the exit code decides, and the output with it."""
    error = ("E: Failed to fetch http://user:s3cret@a.example/dists/x/InRelease  401  Unauthorized")
    backend, _ = apt({}, CURRENT, refresh=True, update=(100, "", error))
    with pytest.raises(Undecided, match="refuses access") as raised:
        _ = backend.updates
    assert "s3cret" not in str(raised.value)
    assert len(backend.repositories) == 2  # what the files say is known all the same


def test_crashing_apt_is_undecided_and_holds_no_password(apt: Make) -> None:
    backend, _ = apt({}, CURRENT, refresh=True, update=(
        -11, "", "terminate called: http://user:s3cret@a.example"))
    with pytest.raises(Undecided, match="exited with -11") as raised:
        _ = backend.updates
    assert "s3cret" not in str(raised.value)


def test_missing_apt_is_undecided(apt: Make) -> None:
    backend, _ = apt({}, CURRENT, refresh=True,
                     update=CommandMissing(("apt-get",), "is not in the image"))
    with pytest.raises(Undecided, match="apt-get is not in the image"):
        _ = backend.updates


# -- state ---------------------------------------------------------------------------------------


def test_states_of_packages(apt: Make) -> None:
    backend, _ = apt({"/var/lib/dpkg/status": "".join([
        stanza("whole", "1"), stanza("gone", "1", "deinstall ok config-files"),
        stanza("never", "1", "unknown ok not-installed"), stanza("kept", "1", "hold ok installed"),
        stanza("half", "1", "install ok half-configured"),
        stanza("damaged", "1", "install reinstreq half-installed"),
    ])})
    assert {name: (package.state, package.held) for name, package in backend.installed.items()} == {
        "whole": ("installed", False), "kept": ("installed", True),
        "half": ("half-configured", False), "damaged": ("reinst-required", False),
    }


def test_journal_of_an_interrupted_dpkg_outranks_the_status_file(apt: Make) -> None:
    backend, _ = apt({"/var/lib/dpkg/updates/0001": stanza("toy", "2.0", "install ok unpacked")})
    assert backend.installed["toy"].state == "unpacked"
    assert [problem.code for problem in backend.problems] == ["dpkg-interrupted"]


@pytest.mark.parametrize("status", [
    "", None, "garbage\n", "Package: toy\nVersion: 1\n\n", "Package: ../x\nStatus: a b c\n\n",
    "Package: -o\nStatus: install ok installed\n\n", b"Package: \xff\nStatus: install ok installed",
])
def test_damaged_database_is_undecided(apt: Make, status: object) -> None:
    backend, _ = apt({"/var/lib/dpkg/status": status})
    with pytest.raises(Undecided):
        _ = backend.installed


def test_unmet_dependencies(apt: Make) -> None:
    out = ("You might want to run 'apt --fix-broken install' to correct these.\n"
           "The following packages have unmet dependencies:\n"
           " toy : Depends: libtoy (>= 2) but 1 is installed\n"
           "       Depends: other but it is not installed\n"
           " toys : Depends: toy (= 3) but 1.0 is installed\n")
    backend, _ = apt({}, check=(100, out, "E: Unmet dependencies. Try 'apt --fix-broken install'"))
    assert [(problem.package, problem.message) for problem in backend.problems] == [
        ("toy", "toy: Depends: libtoy (>= 2) but 1 is installed Depends: other but it is not "
                "installed"),
        ("toys", "toys: Depends: toy (= 3) but 1.0 is installed"),
    ]


def test_check_that_fails_for_another_reason_is_undecided(apt: Make) -> None:
    backend, _ = apt({}, check=(100, "", "E: Could not open file /var/lib/dpkg/status"))
    with pytest.raises(Undecided, match="Could not open"):
        _ = backend.problems


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("lock", dpkg.LOCKS)
def test_running_package_manager_is_named(apt: Make, tmp_path: Path, lock: str) -> None:
    backend, runner = apt(dict.fromkeys(dpkg.LOCKS, ""), CURRENT)
    backend.require_idle()
    with subprocess.Popen([sys.executable, "-c", HOLDER, f"{tmp_path}/image{lock}"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Undecided, match=rf"python\S* \(pid {other.pid}\) is changing"):
            backend.require_idle()
        with pytest.raises(Undecided, match="holds dpkg's lock"):
            _ = backend.updates
        other.communicate()
    assert runner.calls == []


# -- repositories --------------------------------------------------------------------------------


def test_repositories(apt: Make) -> None:
    docker = "deb [arch=amd64] https://me:pw@download.docker.com/linux/debian bookworm stable\n"
    local = "deb [trusted=yes] file:/srv/repo ./\n"
    stem = f"{LISTS}/download.docker.com_linux_debian_dists_bookworm_"
    backend, _ = apt({
        "/etc/apt/sources.list": MAIN + SECURITY, "/etc/apt/sources.list.d/x.list": docker + local,
        f"{stem}InRelease": "Origin: Docker\nSuite: bookworm\n",
    })
    assert [(source.line, source.uri, source.origin, source.official, source.security,
             source.unsigned) for source in backend.repositories] == [
        (1, "http://deb.debian.org/debian", "Debian", True, False, None),
        (2, "http://deb.debian.org/debian-security", "Debian", True, True, None),
        (1, "https://download.docker.com/linux/debian", "Docker", False, False, None),
        (2, "file:/srv/repo", None, False, False, "trusted=yes"),
    ]


def test_sources_are_judged_by_name_without_indexes(apt: Make) -> None:
    backend, _ = apt({**dict.fromkeys(LISTED), "/etc/apt/sources.list": (
        MAIN + SECURITY + "deb https://debian.org.evil.example/debian bookworm main\n"
        "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main\n"
        "deb mirror+file:/etc/apt/mirrors/none.list bookworm main\n"),
        "/etc/apt/mirrors/debian.list": "https://deb.debian.org/debian\n"})
    assert [(source.official, source.security) for source in backend.repositories] == [
        (True, False), (True, True), (False, False), (True, False), (False, False)]
