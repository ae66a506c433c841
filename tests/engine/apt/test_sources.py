"""Sources of apt, and which of them are security archives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from img_tools.packages.apt_release import System, parse_release
from img_tools.packages.apt_sources import Source, insecure_setting, list_name, read, site
from img_tools.rootfs import RootFS
from tests.engine.apt.common import (
    MAIN,
    Make,
    release,
)
from tests.support import build

# -- sources ---------------------------------------------------------------------------------------


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


# -- what is a security archive --------------------------------------------------------------------


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
