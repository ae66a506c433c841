import importlib
import os
import re

import pytest

from img_tools import matching, mounts, residue
from img_tools.catalogue import CATALOGUE, Residue, Treat
from img_tools.entries import Listing
from img_tools.model import Status, Undecided
from tests.support import Fifo, File, Link, codes, mended_by


@pytest.fixture
def catalogue(monkeypatch):
    """catalogue(row, ...): the only rows there are, for the topic "t"."""

    def use(*rows):
        monkeypatch.setattr(matching, "CATALOGUE", rows)
        matching._rules.cache_clear()

    yield use
    matching._rules.cache_clear()


def row(pattern, treat=Treat.REMOVE, code="c", **fields):
    return Residue("t", code, pattern, treat, Status.WARN, "why", **fields)


def paths(host):
    return sorted(match.path for match in residue.matches(host, "t"))


# -- what counts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "expected"), [
    ("file", ["/d/full"]),
    ("present", ["/d/empty", "/d/full"]),
    ("tree", ["/d/tree"]),
    ("empty", ["/d/nothing"]),
    ("name", ["/d/empty", "/d/fifo", "/d/full", "/d/link", "/d/nothing", "/d/tree"]),
])
def test_kinds(image, catalogue, kind, expected):
    catalogue(row("/d/*", kind=kind))
    host = image({"/d/full": "x", "/d/empty": "", "/d/tree/file": "x", "/d/nothing": {},
                  "/d/link": Link("full"), "/d/fifo": Fifo()})
    assert paths(host) == expected


def test_a_link_in_place_of_a_file_is_not_followed_outside_of_homes(image, catalogue):
    catalogue(row("/var/log/x"))
    assert paths(image({"/var/log/x": Link("/etc/passwd")})) == []


def test_keep_with_a_slash_at_the_end_keeps_directories_alone(image, catalogue):
    catalogue(row("/d/*", kind="name", keep=("/d/private-*/", "/d/.SEQ")))
    host = image({"/d/private-a": {}, "/d/private-b": "x", "/d/.SEQ": "1", "/d/other": "x"})
    assert paths(host) == ["/d/other", "/d/private-b"]


def test_holds_looks_for_content(image, catalogue):
    catalogue(row("/d/*", holds=rb"^name="))
    host = image({"/d/yes": "# comment\nname=x\n", "/d/no": "# name=x\n"})
    assert paths(host) == ["/d/yes"]


def test_holds_passes_over_holes(image, catalogue):
    """lastlog of an account with a large uid is a terabyte of hole."""
    catalogue(row("/d/*", holds=rb"[^\0]"))
    host = image({"/d/hole": File(size=1 << 40), "/d/used": File(size=1 << 40)})
    with open(host.root.host_path("/d/used"), "r+b") as file:
        file.seek(1 << 39)
        file.write(b"login")
    assert paths(host) == ["/d/used"]


def test_holds_counts_what_is_too_large_to_tell(image, catalogue, monkeypatch):
    monkeypatch.setattr(matching, "SEARCHED", 8)
    monkeypatch.setattr(matching, "PIECE", 4)
    catalogue(row("/d/*", holds=b"x"))
    host = image({"/d/large": "a" * 100, "/d/small": "a" * 7})
    assert paths(host) == ["/d/large"]


def test_what_lies_in_memory_is_in_no_snapshot(image, catalogue):
    catalogue(row("/tmp/*", kind="name"))
    host = image({"/tmp/file": "x"})
    host.volatile = frozenset({os.stat(host.root.top).st_dev})
    assert paths(host) == []


def test_volatile_is_what_lies_in_memory_or_on_a_server_but_never_the_root(image, monkeypatch):
    """No snapshot holds the homes that are mounted from a server: they are not ours to clean."""
    host = image()
    root = os.stat(host.root.top).st_dev
    found = [mounts.Mount(str(device), device, "/", "/x", kind) for device, kind in (
        (77, "tmpfs"), (78, "nfs4"), (79, "fuse.sshfs"), (80, "ext4"), (root, "tmpfs"),
        (81, "proc"))]
    monkeypatch.setattr(mounts, "read", lambda: found)
    assert host.volatile == {77, 78, 79, 81}


def test_what_cannot_be_looked_at_hides_nothing_beside_it(image, catalogue, monkeypatch):
    """Whoever has FUSE may mount in /tmp what root cannot even stat."""
    catalogue(row("/tmp/*", kind="name"))
    host = image({"/tmp/a/x": "x", "/tmp/fuse": {}, "/tmp/z/x": "x"})
    look = Listing.entry

    def refused(listing, item):
        if item.name == "fuse":
            raise PermissionError(13, "Permission denied")
        return look(listing, item)

    monkeypatch.setattr(Listing, "entry", refused)
    done = []
    with pytest.raises(Undecided, match="/tmp/fuse: Permission denied"):
        done.extend(action.path for action in residue.actions(host, "t"))
    assert sorted(done) == ["/tmp/a", "/tmp/z"]


def test_our_own_directory_does_not_count(image, catalogue):
    catalogue(row("/tmp/*", kind="name"))
    host = image({"/tmp/img-check.0123456789ab": {}, "/tmp": {}})
    made = host._scratch
    made._made.append((host.root.host_path("/tmp") + "/img-check.own", os.stat("/")))
    os.mkdir(host.root.host_path("/tmp/img-check.own"))
    assert paths(host) == ["/tmp/img-check.0123456789ab"]  # that of a run which was killed


# -- where it is looked for ----------------------------------------------------------------------


def test_below_the_first_row_that_fits_speaks_for_a_file(image, catalogue):
    catalogue(row("/var/log/**/*.gz", kind="present", code="old"), row("/var/log/**", code="log"))
    host = image({"/var/log/a/b/c.gz": "", "/var/log/a/log": "x", "/var/log/empty": ""})
    found = {match.path: match.residue.code for match in residue.matches(host, "t")}
    assert found == {"/var/log/a/b/c.gz": "old", "/var/log/a/log": "log"}


def test_the_same_place_by_two_names_is_looked_at_once(image, catalogue):
    catalogue(row("/var/mail/*"), row("/var/spool/mail/*"))
    host = image({"/var/mail/root": "x", "/var/spool/mail": Link("../mail")})
    assert paths(host) == ["/var/mail/root"]


def test_a_place_behind_a_loop_of_links_holds_nothing(image, catalogue):
    catalogue(row("/loop/*"), row("/d/*"))
    assert paths(image({"/loop": Link("loop"), "/d/x": "x"})) == ["/d/x"]


HOMES = ("root:x:0:0::/root:/bin/sh\napp:x:990:990::/srv/app:/bin/sh\nnone:x:5:5::/nonexistent:/x\n"
         "sys:x:6:6::/:/usr/sbin/nologin\n")


def test_homes_are_those_of_passwd(image, catalogue):
    catalogue(row("~/.h"))
    host = image({"/etc/passwd": HOMES, "/srv/app/.h": "x", "/root/.h": "x", "/srv/no/.h": "x",
                  "/.h": "x", "/etc/skel/.h": "x"})
    found = {match.path: match.account for match in residue.matches(host, "t")}
    assert found == {"/root/.h": "root", "/srv/app/.h": "app", "/.h": "sys",
                     "/etc/skel/.h": "skel"}


def test_homes_of_accounts_that_are_gone_are_looked_at_too(image, catalogue):
    catalogue(row("~/.h"))
    host = image({"/etc/passwd": "ann:x:1000:1000::/home/team/ann:/bin/sh\n", "/home/old/.h": "x",
                  "/home/team/ann/.h": "x", "/home/team/.h": "x", "/home/link": Link("/srv"),
                  "/srv/.h": "x"})
    assert paths(host) == ["/home/old/.h", "/home/team/ann/.h"]


def test_the_home_that_is_the_root_is_not_looked_at_twice(image, catalogue):
    catalogue(row("/core"), row("~/core"))
    assert paths(image({"/etc/passwd": HOMES, "/core": "x"})) == ["/core"]


def test_homes_with_wildcards_and_subdirectories(image, catalogue):
    catalogue(row("~/.a/*/h*"), row("~/.b-*"))
    host = image({"/root/.a/one/h1": "x", "/root/.a/two/other": "x", "/root/.b-[x]": "x"})
    assert paths(host) == ["/root/.a/one/h1", "/root/.b-[x]"]


def test_a_link_in_a_home_counts_by_what_it_leads_to(image, catalogue):
    catalogue(row("~/.h"))
    host = image({"/root/.h": Link("state/h"), "/root/state/h": "x"})
    (match,) = residue.matches(host, "t")
    assert (match.link, match.entry.path, match.outside) == ("/root/.h", "/root/state/h", False)


def test_what_is_reached_by_a_link_out_of_the_home_is_only_reported(image, catalogue):
    """Whoever owns the home chooses where the link leads: root must not clean there."""
    catalogue(row("~/.h"), row("~/.d/*"))
    host = image({"/root/.h": Link("/etc/passwd"), "/root/.d": Link("/srv"), "/srv/x": "x"})
    found = list(residue.findings(host, "t"))
    assert [finding.path for finding in found] == ["/root/.d/x", "/root/.h"]
    assert "by hand" in found[0].remediation  # the file itself, by way of a linked directory
    assert "rm /root/.h" in found[1].remediation
    assert all(match.outside for match in residue.matches(host, "t"))


@pytest.mark.parametrize("target", ["/dev/null", ".h", "/nowhere", "../../../../../etc/none"])
def test_a_link_to_nothing_holds_nothing(image, catalogue, target):
    catalogue(row("~/.h"))
    assert paths(image({"/root/.h": Link(target)})) == []


def test_what_cannot_be_read_does_not_hide_the_rest(image, catalogue):
    catalogue(row("~/.h/*"))
    host = image({"/etc/passwd": HOMES, "/root/.h/x": "x", "/srv/app/.h/x": "x"})
    real = host.root.glob

    def glob(pattern):
        if pattern.startswith("/root"):
            raise Undecided("no")
        return real(pattern)

    host.root.glob = glob
    findings = residue.findings(host, "t")
    assert next(findings).path == "/srv/app/.h/x"
    with pytest.raises(Undecided, match="no"):
        next(findings)


# -- what is said --------------------------------------------------------------------------------


def test_a_finding_says_what_where_and_how_to_mend_it(image, catalogue):
    catalogue(row("/d/x"))
    (finding,) = residue.findings(image({"/d/x": "secret"}), "t")
    assert finding.message == "/d/x: why"
    assert mended_by(finding) == "t"
    assert finding.evidence == {"bytes": 6}


def test_advice_takes_the_place_of_the_cleaner(image, catalogue):
    catalogue(row("/d/*", Treat.REPORT, advice="stop it, then: rm {path}"))
    (finding,) = residue.findings(image({"/d/a b": "x"}), "t")
    assert finding.remediation == "stop it, then: rm '/d/a b'"


def test_advice_belongs_to_what_is_only_reported():
    with pytest.raises(ValueError, match="advice"):
        row("/d/*", Treat.REPORT)
    with pytest.raises(ValueError, match="advice"):
        row("/d/*", Treat.REMOVE, advice="do it")


def test_more_than_the_limit_are_counted(image, catalogue):
    catalogue(row("/d/**"), row("/e/**"))
    host = image({f"/{top}/{number:03}": "x" for top in "de" for number in range(70)})
    found = list(residue.findings(host, "t"))
    assert len(found) == residue.LIMIT + 1
    assert [finding.path for finding in found[:2]] == ["/d/000", "/d/001"]
    assert found[-1].evidence == {"count": 140}
    assert "140 in all" in found[-1].message
    assert re.fullmatch(r"img-clean --root \S+ --dry-run -v --only \S+  # lists them all",
                        found[-1].remediation)


def test_memory_does_not_grow_with_the_number_of_matches(image, catalogue):
    catalogue(row("/d/**"))
    host = image({"/d/x": "x"})
    (match,) = residue.matches(host, "t")
    sample = residue._Sample()
    for _ in range(1000):
        sample.add(match)
        assert len(sample.first) <= 2 * residue.LIMIT
    assert sample.count == 1000


def test_describes_knows_files_of_homes():
    assert residue.describes("shell-history", ".bash_history")
    assert residue.describes("shell-history", ".local/share/fish/work_history")
    assert not residue.describes("shell-history", ".local/share/mine")


# -- the catalogue itself ------------------------------------------------------------------------


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: f"{entry.topic}:{entry.pattern}")
def test_every_row_is_well_formed(entry):
    assert entry.pattern.startswith(("/", "~/"))
    assert importlib.import_module(f"img_tools.checks.{entry.topic.replace('-', '_')}")
    assert not entry.pattern.startswith("~") or "**" not in entry.pattern, "homes are too large"
    assert "**" not in entry.pattern or entry.kind in ("file", "present"), "directories are owned"
    assert not entry.why.endswith(".")
    assert entry.why
    assert all(keep.startswith(("/", "*")) for keep in entry.keep)


def test_no_place_is_described_twice():
    places = [(entry.pattern, entry.kind, entry.holds) for entry in CATALOGUE]
    assert sorted({place for place in places if places.count(place) > 1}) == []


@pytest.mark.parametrize("place", ["/", "/etc", "/home", "/root", "/usr", "/var", "/var/lib",
                                   "/var/log", "/var/lib/cloud/scripts", "~"])
def test_no_row_takes_what_the_system_needs(place):
    """A row that removes names must not fit a directory which a package or a vendor owns."""
    assert place not in [entry.pattern for entry in CATALOGUE]
    assert f"{place}/*" not in [entry.pattern for entry in CATALOGUE if entry.kind == "name"]


def test_codes_are_those_of_the_rows(image):
    host = image({"/root/.bash_history": "x", "/root/.psql_history": "x", "/root/.lesshst": "x"})
    assert sorted(codes(list(residue.findings(host, "shell-history")))) == [
        ("fail", "client-history"), ("fail", "shell-history"), ("warn", "viewer-history")]
