"""dnf and yum over trees from dicts and programs that only talk; real dnf: tests/rootfs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from img_tools.model import Undecided
from img_tools.packages import Busy, Reason, dnf_config, dnf_dialect, dnf_output, rpmdb, select
from img_tools.packages.dnf import Dnf
from img_tools.packages.dnf_config import Repo
from img_tools.packages.dnf_dialect import DNF4, DNF5, YUM3
from img_tools.packages.dnf_repos import System
from img_tools.rootfs import RootFS
from img_tools.runner import CommandError, CommandMissing, Completed, Runner
from img_tools.scratch import Scratch
from tests.support import File, Link, build

ROCKY = 'ID="rocky"\nVERSION_ID="9.6"\nID_LIKE="rhel centos fedora"\n'
CENTOS7 = 'ID="centos"\nVERSION_ID="7"\nID_LIKE="rhel fedora"\n'
GPG = "gpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-"
BASEOS = ("[baseos]\nname=Rocky Linux $releasever - BaseOS\nmirrorlist=https://mirrors.rockylinux."
          f"org/mirrorlist?repo=BaseOS-$releasever\n{GPG}Rocky-9\n")
UPDATES = ("[updates]\nmirrorlist=http://mirrorlist.centos.org/?release=$releasever&arch=$basearch"
           f"&repo=updates\n{GPG}CentOS-7\n")
PROGRAMS: Mapping[str, Mapping[str, object]] = {
    "dnf": {"/usr/bin/dnf-3": "", "/usr/bin/dnf": Link("dnf-3"), "/usr/bin/yum": Link("dnf-3")},
    "dnf5": {"/usr/bin/dnf5": "", "/usr/bin/dnf": Link("dnf5"), "/usr/bin/yum": Link("dnf5")},
    "yum": {"/usr/bin/yum": "#!/usr/bin/python\n"},
}
REPOMD = ('<?xml version="1.0"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
          '<data type="primary"><timestamp>1760000000</timestamp></data>{}</repomd>\n')
UPDATEINFO = '<data type="updateinfo"><open-size>4711</open-size></data>'
RPM = "toyssl\t(none)\t1.0-1.el9\tx86_64\ntoytool\t1\t2.0-1.el9\tnoarch\n"
PENDING = ("\ntoyssl.x86_64          1.0-2.el9            baseos\n"
           "toytool.noarch         1:2.1-1.el9          baseos\n")


class Talking(Runner):
    """Answers for rpm, dnf and yum; leaves the metadata of `repos` where dnf would."""

    def __init__(self, top: str, answers: Mapping[str, object], repos: Mapping[str, str]) -> None:
        super().__init__(top)
        self.answers = {"-qa": RPM, "-Va": "", **answers}
        self.repos = repos
        self.calls: list[tuple[str, ...]] = []
        self.env: dict[str, str] = {}

    def __call__(
        self, *argv: str, ok: Sequence[int] = (0,), env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        self.calls.append(argv)
        self.env = dict(env or {})
        self._fetch(argv)
        answer = self.answers[next(word for word in argv[1:] if word in self.answers)]
        if isinstance(answer, BaseException):
            raise answer
        code, out, err = answer if isinstance(answer, tuple) else (0, str(answer), "")
        if code not in ok:
            raise CommandError(argv, f"exited with {code}", out, err)
        return Completed(tuple(argv), code, out, err)

    def _fetch(self, argv: Sequence[str]) -> None:
        cache = next((word.partition("cachedir=")[2] for word in argv
                      if word.startswith("--setopt=cachedir=")), None)
        if cache is None:
            return
        for name, index in self.repos.items():
            own = f"{name}-0123456789abcdef/repodata" if argv[0] != "yum" else name
            path = cache.replace("$basearch", "x86_64").replace("$releasever", "7")
            place = Path(self.top) / path.lstrip("/") / own
            place.mkdir(parents=True, exist_ok=True)
            (place / "repomd.xml").write_text(index)
            if argv[0] == "dnf" and "updateinfo" in index:
                (Path(self.top) / path.lstrip("/") / f"{name}-updateinfo.solvx").touch()


Make = Callable[..., tuple[Dnf, Talking]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """make({path: content}, program="dnf", check=..., repos=...) -> (backend, runner)."""
    def made(files: Mapping[str, object] | None = None, *, program: str = "dnf",
             repos: Mapping[str, str] | None = None, refresh: bool = True,
             **answers: object) -> tuple[Dnf, Talking]:
        top = tmp_path / str(len(list(tmp_path.iterdir())))
        build(top, {
            "/etc/os-release": ROCKY, "/etc/yum.repos.d/rocky.repo": BASEOS,
            "/etc/dnf/dnf.conf": "[main]\ngpgcheck=1\n", "/var/lib/rpm/rpmdb.sqlite": "db",
            "/tmp": {}, "/dev/shm": {}, **PROGRAMS[program], **(files or {})})
        words = {"check": {"dnf5": "check-upgrade"}.get(program, "check-update"),
                 "advisories": {"dnf5": "advisory"}.get(program, "updateinfo"),
                 "unmet": "-Va", "packages": "-qa"}
        root = RootFS(str(top))
        run = Talking(str(top), {words.get(name, name): answer
                                      for name, answer in answers.items()},
                      repos or {"baseos": REPOMD.format(UPDATEINFO)})
        return Dnf(root, run, Scratch(root), refresh=refresh), run

    return made


# -- what the programs print ---------------------------------------------------------------------


def test_rows_that_yum_breaks_over_lines():
    """yum 3 writes what is too long for its column onto lines of its own."""
    rows = list(dnf_output.table(
        "\nNetworkManager-config-server.noarch\n"
        "                                      1:1.18.8-2.el7_9               updates\n"
        "java-1.8.0-openjdk-headless.x86_64    1:1.8.0.412.b08-1.el7_9\n"
        "                                                                     updates\n"))
    assert [(row.name, row.arch, row.version, row.repo) for row in rows] == [
        ("NetworkManager-config-server", "noarch", "1:1.18.8-2.el7_9", "updates"),
        ("java-1.8.0-openjdk-headless", "x86_64", "1:1.8.0.412.b08-1.el7_9", "updates")]


def test_what_is_no_update_is_not_counted():
    """Defect 14: blank lines and the block of obsoleting packages count as updates."""
    text = ("\n\nSecurity: kernel-3.10.0-1160.el7.x86_64 is an installed security update\n"
            "Security: kernel-3.10.0-957.el7.x86_64 is the currently running version\n"
            "toyssl.x86_64    1.0-2.el7    updates\n\n"
            "Obsoleting Packages\n"
            "newtool.noarch    9-1    updates\n"
            "    toytool.noarch    1.0-1.el7    @System\n")
    assert [row.name for row in dnf_output.table(text)] == ["toyssl"]
    assert list(dnf_output.table("\n\n")) == []


@pytest.mark.parametrize("text", [
    "Something else happened\n", "toyssl 1.0-2.el9 baseos\n", "toyssl.x86_64 1.0 baseos\n",
    "toyssl.x86_64 1.0-2.el9\n", "toyssl.x86_64 1.0-2.el9 baseos more\n"])
def test_a_line_that_is_not_understood_is_no_answer(text):
    with pytest.raises(Undecided, match="not understood"):
        list(dnf_output.table(text))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"upgrades": [{"name": "x"}]}',
                                  '{"upgrades": 3}', '{"upgrades": [3]}'])
def test_json_that_is_not_understood_is_no_answer(text):
    with pytest.raises(Undecided, match="not understood"):
        list(dnf_output.upgrades(text))
    if text != "[]":
        with pytest.raises(Undecided, match="not understood"):
            list(dnf_output.json_advisories(text))


@pytest.mark.parametrize(("nevra", "parts"), [
    ("toyssl-1.0-2.el9.x86_64", ("toyssl", "1.0-2.el9", "x86_64")),
    ("a-b-c-1:1.0-2.el9.noarch", ("a-b-c", "1:1.0-2.el9", "noarch")),
    ("1:a-b-1.0-2.el7.noarch", ("a-b", "1:1.0-2.el7", "noarch")),
    ("toyssl-0:1.0-2.i686", ("toyssl", "1.0-2", "i686"))])
def test_names_with_versions(nevra, parts):
    assert rpmdb.split(nevra) == parts


@pytest.mark.parametrize("nevra", ["", "toyssl", "toyssl-1.0.noarch", "-1-2.noarch", "a-1-2"])
def test_names_without_versions(nevra):
    with pytest.raises(Undecided):
        rpmdb.split(nevra)


@pytest.mark.parametrize(("older", "newer"), [
    ("1.0-1", "1.0-2"), ("1.9-1", "1.10-1"), ("2.0-1", "1:1.0-1"), ("1.0~rc1-1", "1.0-1"),
    ("1.0-1", "1.0^git1-1"), ("1.0^git1-1", "1.0.1-1"), ("1.0a-1", "1.0.1-1"),
    ("1.0-1.el9", "1.0-1.el9_1"), ("1.0-1", "1.0.0-1"), ("0.9-9", "1.0-1"),
    ("1.0~rc1-1", "1.0~rc2-1"), ("5.14.0-427.el9", "5.14.0-503.el9"), ("1.0-a", "1.0-1")])
def test_versions_are_compared_as_rpm_does(older, newer):
    assert rpmdb.compare(older, newer) == -1
    assert rpmdb.compare(newer, older) == 1


def test_equal_versions():
    for one, two in (("1.0-1", "1.0-1"), ("0:1.0-1", "1.0-1"), ("1.00-1", "1.0-1"),
                     ("1_0-1", "1.0-1")):
        assert rpmdb.compare(one, two) == 0


# -- updates -------------------------------------------------------------------------------------


def test_exit_codes_are_told_apart(make):
    """Defect 14: 100 is updates, 0 is none, 1 is no answer; upstream drops all three."""
    dnf, _ = make(check=(0, "", ""))
    assert dnf.updates.all == ()
    dnf, _ = make(check=(100, PENDING, ""), advisories="")
    assert [item.name for item in dnf.updates.all] == ["toyssl", "toytool"]
    dnf, _ = make(check=(1, "", "Error: Failed to download metadata for repo 'baseos': Cannot "
                                "download repomd.xml: All mirrors were tried"))
    with pytest.raises(Undecided, match="repository baseos: its server cannot be reached"):
        _ = dnf.updates


@pytest.mark.parametrize(("code", "text"), [(100, ""), (0, PENDING), (100, "Obsoleting Packages")])
def test_a_code_and_a_list_that_contradict_each_other_are_no_answer(make, code, text):
    dnf, _ = make(check=(code, text, ""))
    with pytest.raises(Undecided, match="not understood"):
        _ = dnf.updates


def test_advisories_decide(make):
    dnf, run = make(check=(100, PENDING, ""),
                    advisories="RLSA-2026:1 Important/Sec. toyssl-1.0-2.el9.x86_64\n"
                               "RLSA-2026:2 Low/Sec.       toyssl-1.0-1.el9.x86_64\n"
                               "RLSA-2026:3 Low/Sec.       toytool-1:2.1-1.el9.x86_64\n")
    ssl, tool = dnf.updates.all
    assert (ssl.installed, ssl.candidate, ssl.security, ssl.advisories) == (
        "1.0-1.el9", "1.0-2.el9", True, ("RLSA-2026:1",))
    assert (tool.installed, tool.security, tool.unproven) == ("1:2.0-1.el9", False, False)
    assert dnf.updates.index_time == "2025-10-09T08:53:20+00:00"
    assert [argv[0] for argv in run.calls] == ["dnf", "dnf", "rpm"]


def test_without_updates_nobody_asks_for_advisories(make):
    dnf, run = make(check=(0, "", ""))
    assert dnf.updates.all == ()
    assert not any("updateinfo" in argv for argv in run.calls)


@pytest.mark.parametrize("index", [
    "", '<data type="updateinfo"><open-size>61</open-size></data>'], ids=["none", "empty"])
def test_a_repository_without_advisories_cannot_prove_anything(make, index):
    dnf, run = make(check=(100, PENDING, ""), repos={"baseos": REPOMD.format(index)})
    assert [(item.security, item.unproven) for item in dnf.updates.all] == [(True, True)] * 2
    assert not any("updateinfo" in argv for argv in run.calls)


def test_advisories_that_dnf_could_not_read_are_an_error(make):
    """dnf 4 prints nothing and leaves out the file that it makes of them."""
    dnf, run = make(check=(100, PENDING, ""))
    fetch = run._fetch

    def without(argv: Sequence[str]) -> None:
        fetch(argv)
        for path in Path(run.top).rglob("*.solvx"):
            path.unlink()

    run._fetch = without
    with pytest.raises(Undecided, match="advisories of the repository baseos cannot be read"):
        _ = dnf.updates


def test_yum_of_centos_6_cannot_read_advisories(make):
    """There they come with a plugin; its repositories have none, but EPEL has."""
    dnf, _ = make({"/etc/os-release": CENTOS7, "/etc/yum.repos.d/rocky.repo": UPDATES},
                  program="yum", repos={"updates": REPOMD.format(UPDATEINFO)},
                  check=(100, PENDING.replace("baseos", "updates"), ""),
                  advisories=(1, "", "No such command: updateinfo. Please use /usr/bin/yum --help"))
    assert [(item.security, item.unproven) for item in dnf.updates.all] == [(True, True)] * 2


def test_a_repository_that_was_passed_over_is_an_error(make):
    """Whatever the exit code says: its metadata must be there."""
    dnf, _ = make({"/etc/yum.repos.d/more.repo": "[extras]\nbaseurl=http://x/\n"},
                  check=(0, "", ""))
    with pytest.raises(Undecided, match="no metadata of the repository extras"):
        _ = dnf.updates


def test_dnf5_answers_in_json(make):
    dnf, run = make(
        program="dnf5",
        check='{"upgrades":[{"name":"toyssl","arch":"x86_64","evr":"1.0-2.el9",'
              '"repository":"baseos"}]}',
        advisories='[{"name":"FEDORA-1","type":"security","severity":"None",'
                   '"nevra":"toyssl-1.0-2.el9.x86_64"},'
                   '{"name":"FEDORA-2","type":"bugfix","nevra":"toyssl-1.0-2.el9.x86_64"}]')
    (update,) = dnf.updates.all
    assert update.advisories == ("FEDORA-1",)
    assert dnf.name == "dnf5"
    assert all(argv[0] in ("dnf5", "rpm") for argv in run.calls)


def test_locked_and_excluded_packages(make):
    dnf, _ = make({"/etc/dnf/plugins/versionlock.list": "# x\ntoyssl-0:1.0-1.el9.*\n",
                   "/etc/dnf/dnf.conf": "[main]\ngpgcheck=1\nexclude=foo, toyt*\n"},
                  check=(100, PENDING, ""), advisories="")
    assert [item.reason for item in dnf.updates.all] == [Reason.HELD, Reason.PINNED]
    assert dnf.installed["toyssl"].held
    assert list(dnf.upgrade()) == []
    assert dnf.remedy(dnf.updates.all[0]) == (
        "dnf versionlock delete toyssl && dnf upgrade toyssl")
    assert "/etc/dnf/dnf.conf" in dnf.remedy(dnf.updates.all[1])


def test_everything_is_written_to_a_place_of_its_own(make):
    """Defect 34: yum refills the cache of the cleaned image, and its logs."""
    for program in PROGRAMS:
        dnf, run = make({"/var/cache/dnf/x/y": "1", "/var/lib/dnf/history.sqlite": "2"},
                        program=program, refresh=False,
                        check="{}" if program == "dnf5" else (0, "", ""))
        assert dnf.updates.all == ()
        (command,) = (argv for argv in run.calls if argv[0] == program)
        joined = " ".join(command)
        for word in ("cachedir=", "log"):
            assert f"{word}" in joined
        assert "-C" in command
        assert "skip_if_unavailable=0" in joined
        assert run.env["HOME"].startswith("/dev/shm/img-check.")
        top = Path(run.top) / run.env["HOME"].lstrip("/")
        assert "%_dbpath /dev/shm/img-check." in (top / ".rpmmacros").read_text()
        assert (top.parent / "rpm/rpmdb.sqlite").read_text() == "db"


def test_nothing_is_enabled(make):
    dnf, run = make({"/etc/yum.repos.d/rocky.repo": BASEOS + "enabled=0\n"})
    with pytest.raises(Undecided, match="no repository is enabled"):
        _ = dnf.updates
    assert not any(argv[0] == "dnf" for argv in run.calls)


def test_repositories_of_a_plugin_are_not_judged(make):
    dnf, _ = make({"/etc/yum.repos.d/rocky.repo": "",
                   "/etc/dnf/plugins/spacewalk.conf": "[main]\nenabled = 1\n"})
    with pytest.raises(Undecided, match="through a plugin"):
        _ = dnf.updates


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "says"), [
    ("Error: Failed to download metadata for repo 'gone': Cannot prepare internal mirrorlist: Curl "
     "error (6): Couldn't resolve host name for http://x.invalid/ [Could not resolve host]",
     "repository gone: the name of its server cannot be resolved"),
    ("http://mirror/repodata/repomd.xml: [Errno 14] HTTP Error 404 - Not Found\n"
     "failure: repodata/repomd.xml from base: [Errno 256] No more mirrors to try.",
     "repository base: its server does not have it"),
    ("Cannot find a valid baseurl for repo: base/7/x86_64", "repository base/7/x86_64: its server"),
    ("Error: Cache-only enabled but no cache for 'baseos'",
     "repository baseos: its metadata is not on the disk; run `dnf makecache`"),
    ('Failed to download metadata (metalink: "https://x") for repository "fedora": Curl error '
     "(60): SSL peer certificate", "repository fedora: its TLS certificate is not accepted"),
    ("Error: Failed to download metadata for repo 'x': repomd.xml GPG signature verification "
     "error: Bad GPG signature", "repository x: its signature is not valid"),
    ("Error: Failed to download metadata for repo 'x': repomd.xml parser error: Parse error at "
     "line: 1", "repository x: its metadata is damaged"),
])
def test_what_fails_is_named_with_why_and_a_cure(make, text, says):
    dnf, _ = make(check=(1, "", text))
    with pytest.raises(Undecided) as raised:
        _ = dnf.updates
    assert says in str(raised.value)


def test_no_password_is_shown(make):
    dnf, _ = make(check=(1, "", "strange trouble with http://me:pw@host/x"))
    with pytest.raises(Undecided) as raised:
        _ = dnf.updates
    assert "me:pw" not in str(raised.value)
    assert "strange trouble" in str(raised.value)


def test_a_program_that_is_missing(make):
    dnf, _ = make(check=CommandMissing(("dnf",), "is not in the image"))
    with pytest.raises(Undecided, match="dnf is not in the image"):
        _ = dnf.updates
    dnf, _ = make(packages=CommandMissing(("rpm",), "is not in the image"))
    with pytest.raises(Undecided, match="rpm is not in the image"):
        _ = dnf.installed


@pytest.mark.parametrize("listed", ["", "gpg-pubkey\t(none)\t1-2\t(none)\n", "garbage\n",
                                    "toyssl\t\t1-1\tnoarch\n"])
def test_a_database_that_lists_nothing_is_an_error(make, listed):
    dnf, _ = make(packages=listed)
    with pytest.raises(Undecided, match="rpm lists"):
        _ = dnf.installed


def test_without_a_database_nothing_is_known(make):
    dnf, _ = make({"/var/lib/rpm/rpmdb.sqlite": None})
    with pytest.raises(Undecided, match="no RPM database"):
        _ = dnf.installed


# -- configuration -------------------------------------------------------------------------------


def test_sections_and_their_lines(make, tmp_path):
    make({"/etc/yum.repos.d/a.repo":
          "# comment\n[one]\nbaseurl = http://me:pw@host/one\n   http://other/one\n"
          "enabled=True\n\n[two]\nmirrorlist=http://x\nenabled = 0\n; more\n"
          "[three]\ngpgcheck=0\nrepo_gpgcheck=1\nmetalink=https://y\nexcludepkgs=a,b c\n",
          "/etc/yum.repos.d/b.repo.rpmsave": "[four]\n", "/etc/yum.repos.d/rocky.repo": ""})
    repos = {repo.id: repo for repo in dnf_config.read(RootFS(str(tmp_path / "0"))).repos}
    assert list(repos) == ["one", "three"]
    assert repos["one"] == Repo("one", "/etc/yum.repos.d/a.repo", 2,
                                ("http://host/one", "http://other/one"), True, ())
    assert (repos["three"].line, repos["three"].checked) == (11, True)
    assert repos["three"].excludes == ("a", "b", "c")


def test_overrides_of_dnf5(make, tmp_path):
    make({"/etc/dnf/repos.override.d/99-config.repo": "[base*]\nenabled=0\n"})
    assert dnf_config.read(RootFS(str(tmp_path / "0"))).repos == ()


def test_yum_conf_of_old_and_a_directory_of_its_own(make, tmp_path):
    make({"/etc/dnf/dnf.conf": None, "/etc/yum.conf":
          "[main]\nreposdir=/etc/my.repos\nexclude=kernel*\n\n[inline]\nbaseurl=file:///x\n",
          "/etc/my.repos/x.repo": "[mine]\nbaseurl=file:///y\ngpgcheck=1\n"})
    config = dnf_config.read(RootFS(str(tmp_path / "0")))
    assert [(repo.id, repo.checked) for repo in config.repos] == [
        ("inline", False), ("mine", True)]
    assert config.excluded("kernel-core", "x86_64", "mine")
    assert not config.excluded("bash", "x86_64", "mine")


@pytest.mark.parametrize("text", ["garbage\n", "key=value\n", "[a]\nno equals sign\n"])
def test_a_file_that_is_not_understood_is_an_error(make, text):
    dnf, _ = make({"/etc/yum.repos.d/bad.repo": text})
    with pytest.raises(Undecided, match=r"bad\.repo line \d is not understood"):
        _ = dnf.repositories


@pytest.mark.parametrize(("system", "repo_id", "uri", "keys", "official", "security"), [
    ("rocky 9", "baseos", "https://mirrors.rockylinux.org/x", (), True, True),
    ("rocky 9", "appstream", "https://mirrors.rockylinux.org/x", (), True, False),
    ("rocky 9", "all", "http://mirror.example.org/x",
     ("file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9",), True, True),
    ("rocky 9", "baseos", "http://mirror.example.org/x", ("http://x/RPM-GPG-KEY-Rocky-9",),
     False, False),
    ("rocky 9", "epel", "https://mirrors.fedoraproject.org/x", (), False, False),
    ("centos 7", "base", "http://mirrorlist.centos.org/?repo=os", (), True, False),
    ("centos 7", "updates", "http://mirrorlist.centos.org/?repo=updates", (), True, True),
    ("centos 7", "vault", "http://vault.centos.org/7.9.2009/updates/x86_64", (), True, True),
    ("centos 9", "baseos", "https://mirrors.centos.org/metalink?repo=x", (), True, True),
    ("almalinux 10", "baseos", "https://mirrors.almalinux.org/x", (), True, True),
    ("cloudlinux 9", "cloudlinux-baseos", "https://repo.cloudlinux.com/x", (), True, True),
    ("fedora 41", "updates", "https://mirrors.fedoraproject.org/x", (), True, True),
    ("fedora 41", "updates-testing", "https://mirrors.fedoraproject.org/x", (), True, False),
    ("rocky 9", "baseos", "https://rockylinux.org.evil.example/x", (), False, False),
    ("alpine 3", "x", "https://x/", (), False, False),
])
def test_whose_repository_it_is(system, repo_id, uri, keys, official, security):
    os_id, _, major = system.partition(" ")
    own = System(os_id, int(major))
    repo = Repo(repo_id, "/x", 1, (uri,), True, keys)
    assert (own.official(repo), own.security(repo)) == (official, security)


def test_repositories_as_the_checks_see_them(make):
    dnf, _ = make({"/etc/yum.repos.d/more.repo": "[third]\nbaseurl=http://me:pw@x/y\ngpgcheck=0\n"})
    base, third = sorted(dnf.repositories, key=lambda item: item.suite)
    assert (base.official, base.security, base.unsigned, base.line) == (True, True, None, 1)
    assert (third.official, third.unsigned, third.uri) == (False, "gpgcheck=0", "http://x/y")


# -- programs, locks, words ----------------------------------------------------------------------


@pytest.mark.parametrize(("files", "found"), [
    (PROGRAMS["dnf"], DNF4), (PROGRAMS["dnf5"], DNF5), (PROGRAMS["yum"], YUM3),
    ({**PROGRAMS["yum"], "/usr/bin/dnf": ""}, YUM3), ({"/usr/bin/dnf5": ""}, DNF5)])
def test_which_program_it_is(tmp_path, files, found):
    build(tmp_path, {"/usr": {}, **files})
    assert dnf_dialect.find(RootFS(str(tmp_path))) is found


def test_no_program(tmp_path):
    with pytest.raises(Undecided, match="neither dnf nor yum"):
        dnf_dialect.find(RootFS(str(tmp_path)))


@pytest.mark.parametrize("os_id", ["rocky", "almalinux", "cloudlinux", "centos", "fedora", "rhel"])
def test_the_family_is_known(tmp_path, os_id):
    root = RootFS(str(tmp_path))
    assert isinstance(select([os_id], root, Runner(str(tmp_path)), Scratch(root)), Dnf)


def test_who_holds_the_lock_of_rpm_is_named(make):
    dnf, run = make({"/var/lib/rpm/.rpm.lock": ""})
    dnf.require_idle()
    script = ("import fcntl,sys,time\nfile=open(sys.argv[1],'r+')\nfcntl.lockf(file,fcntl.LOCK_EX)"
              "\nprint('locked',flush=True)\ntime.sleep(60)")
    holder = subprocess.Popen([sys.executable, "-c", script, f"{run.top}/var/lib/rpm/.rpm.lock"],
                              stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(Busy, match=rf"pid {holder.pid}\) is changing packages"):
            dnf.require_idle()
        with pytest.raises(Busy):
            _ = dnf.installed
    finally:
        holder.kill()
        holder.wait()


def test_unmet_dependencies(make):
    dnf, run = make(unmet=(1, "Unsatisfied dependencies for toy-1:1-1.noarch:\n"
                              "\tnot-there is needed by (installed) toy-1:1-1.noarch\n"
                              "\tlibx.so.1()(64bit) is needed by (installed) toy-1:1-1.noarch\n",
                           ""))
    assert [(item.code, item.package) for item in dnf.problems] == [
        ("unmet-dependency", "toy")] * 2
    assert "not-there" in dnf.problems[0].message
    assert any("--noscripts" in argv for argv in run.calls)
    dnf, _ = make(unmet=(1, "", "error: db5 error"))
    with pytest.raises(Undecided, match="db5 error"):
        _ = dnf.problems


def test_a_package_that_is_there_twice_is_an_interrupted_upgrade(make):
    listed = RPM + "toyssl\t(none)\t1.0-2.el9\tx86_64\n" + "".join(
        f"kernel-core\t(none)\t5.14.0-{n}.el9\tx86_64\n" for n in (9, 10)) + (
        "toyssl\t(none)\t1.0-2.el9\ti686\n")
    dnf, _ = make(packages=listed)
    (problem,) = dnf.problems
    assert (problem.code, problem.package) == ("installed-twice", "toyssl")
    assert dnf.installed["kernel-core"].version == "5.14.0-10.el9"
    with pytest.raises(Undecided, match="an upgrade did not end"):
        dnf.require_settled()


def test_commands_for_a_person(make):
    dnf, _ = make()
    assert dnf.advice("install", "cloud-init") == "dnf install cloud-init"
    assert dnf.advice("upgrade") == "dnf upgrade --refresh"
    assert "gpgcheck=1" in dnf.advice("sign")
    assert "yum.repos.d" in dnf.advice("security")
    assert dnf.advice("remove", "a", "b") == "dnf remove a b"


def test_commands_of_yum(make):
    yum, _ = make({"/etc/yum.repos.d/rocky.repo": UPDATES, "/etc/os-release": CENTOS7},
                  program="yum", check=(100, PENDING.replace("baseos", "updates"), ""),
                  repos={"updates": REPOMD.format("")})
    assert yum.advice("upgrade") == "yum clean expire-cache && yum upgrade"
    commands = [" ".join(action.argv).partition("yum ")[2] for action in yum.upgrade()]
    assert commands == ["-y -q clean expire-cache", "-y -q upgrade"]
    assert list(yum.autoremove()) == []
    assert yum.purge("do-agent").argv[-3:] == ("-q", "remove", "do-agent")


def test_what_nothing_needs_any_more(make):
    dnf, _ = make(repoquery="toytool.noarch\n")
    (action,) = dnf.autoremove()
    assert action.argv[-4:] == ("dnf", "-y", "-q", "autoremove")
    assert "toytool" in action.why
    dnf, _ = make(repoquery="\n")
    assert list(dnf.autoremove()) == []


def test_packages_that_no_repository_has(make):
    dnf, _ = make(check=(0, "", ""), repoquery="toytool.noarch\n\n")
    assert [item.name for item in dnf.unavailable] == ["toytool"]
    yum, _ = make({"/etc/yum.repos.d/rocky.repo": UPDATES}, program="yum",
                  repos={"updates": REPOMD.format("")}, check=(0, "", ""),
                  list="Extra Packages\ntoyssl.x86_64   1.0-1.el9   installed\n")
    assert [item.name for item in yum.unavailable] == ["toyssl"]


def test_the_database_in_its_new_place(make):
    dnf, run = make({"/var/lib/rpm": Link("../../usr/lib/sysimage/rpm"),
                     "/var/lib/rpm/rpmdb.sqlite": None,
                     "/usr/lib/sysimage/rpm/rpmdb.sqlite": File("db"),
                     "/usr/lib/sysimage/rpm/rpmdb.sqlite-shm": "x"})
    assert "toyssl" in dnf.installed
    copied = Path(run.top) / run.env["HOME"].lstrip("/")
    assert sorted(path.name for path in (copied.parent / "rpm").iterdir()) == ["rpmdb.sqlite"]
