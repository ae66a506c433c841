"""Package indexes: how old, how fetched, and what apt says when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from img_tools.model import Undecided
from img_tools.packages.apt_errors import demand_updated
from img_tools.rootfs import RootFS
from img_tools.runner import CommandMissing, Completed
from tests.engine.apt.common import (
    AT_MAIN,
    AT_SECURITY,
    CURRENT,
    DEBIAN_SECURITY,
    INDEX,
    LISTED,
    LISTS,
    MAIN_STEM,
    SECURITY_STEM,
    Make,
    table,
)
from tests.support import Fifo, File, Link

# -- indexes ---------------------------------------------------------------------------------------



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


# -- apt fails -------------------------------------------------------------------------------------


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
