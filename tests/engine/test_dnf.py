"""What dnf and yum answer about updates and packages, and when they do not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from img_tools.model import Undecided
from img_tools.packages import Busy, Reason
from img_tools.runner import CommandMissing
from tests.engine.dnf import BASEOS, CENTOS7, PENDING, PROGRAMS, REPOMD, RPM, UPDATEINFO, UPDATES
from tests.support import File, Link

# -- updates -------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["dnf", "yum"])
def test_exit_codes_are_told_apart(make_dnf, program):
    """Defect 14: 100 is updates, 0 is none, 1 is no answer; upstream drops all three."""
    dnf, _ = make_dnf(program=program, check=(0, "", ""))
    assert dnf.updates.all == ()
    dnf, _ = make_dnf(program=program, check=(100, PENDING, ""), advisories="")
    assert [item.name for item in dnf.updates.all] == ["toyssl", "toytool"]
    dnf, _ = make_dnf(program=program, check=(
        1, "", "Error: Failed to download metadata for repo 'baseos': Cannot download repomd.xml: "
               "All mirrors were tried"))
    with pytest.raises(Undecided, match="repository baseos: its server cannot be reached"):
        _ = dnf.updates


@pytest.mark.parametrize(("code", "text"), [(100, ""), (0, PENDING), (100, "Obsoleting Packages")])
def test_a_code_and_a_list_that_contradict_each_other_are_no_answer(make_dnf, code, text):
    dnf, _ = make_dnf(program="yum", check=(code, text, ""))
    with pytest.raises(Undecided, match="not understood"):
        _ = dnf.updates


def test_one_dnf_answers_everything(make_dnf):
    """Starting dnf 4 takes longer than all that it is asked."""
    dnf, run = make_dnf(check=(100, PENDING, ""), advisories="", repoquery="toytool.noarch\n")
    assert len(dnf.updates.all) == 2
    assert [item.name for item in dnf.unavailable] == ["toytool"]
    assert [argv[0] for argv in run.calls] == ["dnf", "rpm"]
    assert [line.partition(" ")[0] for line in run.asked] == [
        "check-update", "config", "updateinfo", "config", "repoquery", "config", "exit"]


@pytest.mark.parametrize("failed", ["advisories", "repoquery"])
@pytest.mark.parametrize(("complaint", "says"), [
    ("Error: Failed to parse updateinfo\n", "updateinfo is damaged"),
    ("usage: dnf repoquery [-c]\nunrecognized arguments: --extras\n", "every question")])
def test_a_command_that_fails_within_the_shell_is_no_answer(make_dnf, failed, complaint, says):
    """The shell goes on to the next one and exits with 0."""
    dnf, _ = make_dnf(check=(0, "", ""), **{failed: (0, "", complaint)})
    with pytest.raises(Undecided, match=says):
        _ = dnf.updates


def test_no_space_for_the_questions_is_no_answer(make_dnf, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    dnf, _ = make_dnf(check=(0, "", ""))
    monkeypatch.setattr("img_tools.packages.dnf_refresh.open", full, raising=False)
    with pytest.raises(Undecided, match="No space left"):
        _ = dnf.updates


def test_a_shell_that_ends_too_early_is_no_answer(make_dnf):
    dnf, run = make_dnf(check=(0, "", ""))
    whole = run._shell
    run._shell = lambda script: (0, whole(script)[1].partition("\n")[2], "")
    with pytest.raises(Undecided, match="did not answer every question"):
        _ = dnf.updates


def test_advisories_decide(make_dnf):
    dnf, run = make_dnf(check=(100, PENDING, ""),
                        advisories="RLSA-2026:1 Important/Sec. toyssl-1.0-2.el9.x86_64\n"
                                   "RLSA-2026:2 Low/Sec.       toyssl-1.0-1.el9.x86_64\n"
                                   "RLSA-2026:3 Low/Sec.       toytool-1:2.1-1.el9.x86_64\n")
    ssl, tool = dnf.updates.all
    assert (ssl.installed, ssl.candidate, ssl.security, ssl.advisories) == (
        "1.0-1.el9", "1.0-2.el9", True, ("RLSA-2026:1",))
    assert (tool.installed, tool.security, tool.unproven) == ("1:2.0-1.el9", False, False)
    assert dnf.updates.index_time == "2025-10-09T08:53:20+00:00"
    assert [argv[0] for argv in run.calls] == ["dnf", "rpm"]


def test_without_updates_nobody_asks_for_advisories(make_dnf):
    dnf, run = make_dnf(program="yum", check=(0, "", ""))
    assert dnf.updates.all == ()
    assert not any("updateinfo" in argv for argv in run.calls)


@pytest.mark.parametrize("index", [
    "", '<data type="updateinfo"><open-size>61</open-size></data>'], ids=["none", "empty"])
def test_a_repository_without_advisories_cannot_prove_anything(make_dnf, index):
    dnf, run = make_dnf(check=(100, PENDING, ""), repos={"baseos": REPOMD.format(index)})
    assert [(item.security, item.unproven) for item in dnf.updates.all] == [(True, True)] * 2
    assert not any("updateinfo" in argv for argv in run.calls)


def test_advisories_that_dnf_could_not_read_are_an_error(make_dnf):
    """dnf 4 prints nothing and leaves out the file that it makes of them."""
    dnf, run = make_dnf(check=(100, PENDING, ""))
    fetch = run._fetch

    def without(argv: Sequence[str]) -> None:
        fetch(argv)
        for path in Path(run.top).rglob("*.solvx"):
            path.unlink()

    run._fetch = without
    with pytest.raises(Undecided, match="advisories of the repository baseos cannot be read"):
        _ = dnf.updates


def test_yum_of_centos_6_cannot_read_advisories(make_dnf):
    """There they come with a plugin; its repositories have none, but EPEL has."""
    dnf, _ = make_dnf({"/etc/os-release": CENTOS7, "/etc/yum.repos.d/rocky.repo": UPDATES},
                      program="yum", repos={"updates": REPOMD.format(UPDATEINFO)},
                      check=(100, PENDING.replace("baseos", "updates"), ""),
                      advisories=(1, "", "No such command: updateinfo. Please use --help"))
    assert [(item.security, item.unproven) for item in dnf.updates.all] == [(True, True)] * 2


def test_a_repository_that_was_passed_over_is_an_error(make_dnf):
    """Whatever the exit code says: its metadata must be there."""
    dnf, _ = make_dnf({"/etc/yum.repos.d/more.repo": "[extras]\nbaseurl=http://x/\n"},
                      check=(0, "", ""))
    with pytest.raises(Undecided, match="no metadata of the repository extras"):
        _ = dnf.updates


def test_dnf5_answers_in_json(make_dnf):
    dnf, run = make_dnf(
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


def test_locked_and_excluded_packages(make_dnf):
    dnf, _ = make_dnf({"/etc/dnf/plugins/versionlock.list": "# x\ntoyssl-0:1.0-1.el9.*\n",
                       "/etc/dnf/dnf.conf": "[main]\ngpgcheck=1\nexclude=foo, toyt*\n"},
                      check=(100, PENDING, ""), advisories="")
    assert [item.reason for item in dnf.updates.all] == [Reason.HELD, Reason.PINNED]
    assert dnf.installed["toyssl"].held
    assert list(dnf.upgrade()) == []
    assert dnf.remedy(dnf.updates.all[0]) == (
        "dnf versionlock delete toyssl && dnf upgrade toyssl")
    assert "/etc/dnf/dnf.conf" in dnf.remedy(dnf.updates.all[1])


def test_everything_is_written_to_a_place_of_its_own(make_dnf):
    """Defect 34: yum refills the cache of the cleaned image, and its logs."""
    for program in PROGRAMS:
        dnf, run = make_dnf({"/var/cache/dnf/x/y": "1", "/var/lib/dnf/history.sqlite": "2"},
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


def test_nothing_is_enabled(make_dnf):
    dnf, run = make_dnf({"/etc/yum.repos.d/rocky.repo": BASEOS + "enabled=0\n"})
    with pytest.raises(Undecided, match="no repository is enabled"):
        _ = dnf.updates
    assert not any(argv[0] == "dnf" for argv in run.calls)


def test_repositories_of_a_plugin_are_not_judged(make_dnf):
    dnf, _ = make_dnf({"/etc/yum.repos.d/rocky.repo": "",
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
def test_what_fails_is_named_with_why_and_a_cure(make_dnf, text, says):
    dnf, _ = make_dnf(check=(1, "", text))
    with pytest.raises(Undecided) as raised:
        _ = dnf.updates
    assert says in str(raised.value)


def test_no_password_is_shown(make_dnf):
    dnf, _ = make_dnf(check=(1, "", "strange trouble with http://me:pw@host/x"))
    with pytest.raises(Undecided) as raised:
        _ = dnf.updates
    assert "me:pw" not in str(raised.value)
    assert "strange trouble" in str(raised.value)


def test_a_program_that_is_missing(make_dnf):
    dnf, _ = make_dnf(check=CommandMissing(("dnf",), "is not in the image"))
    with pytest.raises(Undecided, match="dnf is not in the image"):
        _ = dnf.updates
    dnf, _ = make_dnf(packages=CommandMissing(("rpm",), "is not in the image"))
    with pytest.raises(Undecided, match="rpm is not in the image"):
        _ = dnf.installed


@pytest.mark.parametrize("listed", ["", "gpg-pubkey\t(none)\t1-2\t(none)\n", "garbage\n",
                                    "toyssl\t\t1-1\tnoarch\n"])
def test_a_database_that_lists_nothing_is_an_error(make_dnf, listed):
    dnf, _ = make_dnf(packages=listed)
    with pytest.raises(Undecided, match="rpm lists"):
        _ = dnf.installed


def test_without_a_database_nothing_is_known(make_dnf):
    dnf, _ = make_dnf({"/var/lib/rpm/rpmdb.sqlite": None})
    with pytest.raises(Undecided, match="no RPM database"):
        _ = dnf.installed


# -- locks, packages, words ------------------------------------------------------------------------


def test_who_holds_the_lock_of_rpm_is_named(make_dnf):
    dnf, run = make_dnf({"/var/lib/rpm/.rpm.lock": ""})
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


def test_unmet_dependencies(make_dnf):
    dnf, run = make_dnf(unmet=(
        1, "Unsatisfied dependencies for toy-1:1-1.noarch:\n"
           "\tnot-there is needed by (installed) toy-1:1-1.noarch\n"
           "\tlibx.so.1()(64bit) is needed by (installed) toy-1:1-1.noarch\n", ""))
    assert [(item.code, item.package) for item in dnf.problems] == [
        ("unmet-dependency", "toy")] * 2
    assert "not-there" in dnf.problems[0].message
    assert any("--noscripts" in argv for argv in run.calls)
    dnf, _ = make_dnf(unmet=(1, "", "error: db5 error"))
    with pytest.raises(Undecided, match="db5 error"):
        _ = dnf.problems


def test_a_package_that_is_there_twice_is_an_interrupted_upgrade(make_dnf):
    listed = RPM + "toyssl\t(none)\t1.0-2.el9\tx86_64\n" + "".join(
        f"kernel-core\t(none)\t5.14.0-{n}.el9\tx86_64\n" for n in (9, 10)) + (
        "toyssl\t(none)\t1.0-2.el9\ti686\n")
    dnf, _ = make_dnf(packages=listed)
    (problem,) = dnf.problems
    assert (problem.code, problem.package) == ("installed-twice", "toyssl")
    assert dnf.installed["kernel-core"].version == "5.14.0-10.el9"
    with pytest.raises(Undecided, match="an upgrade did not end"):
        dnf.require_settled()


def test_commands_for_a_person(make_dnf):
    dnf, _ = make_dnf()
    assert dnf.advice("install", "cloud-init") == "dnf install cloud-init"
    assert dnf.advice("upgrade") == "dnf upgrade --refresh"
    assert "gpgcheck=1" in dnf.advice("sign")
    assert "yum.repos.d" in dnf.advice("security")
    assert dnf.advice("remove", "a", "b") == "dnf remove a b"


def test_commands_of_yum(make_dnf):
    yum, _ = make_dnf({"/etc/yum.repos.d/rocky.repo": UPDATES, "/etc/os-release": CENTOS7},
                      program="yum", check=(100, PENDING.replace("baseos", "updates"), ""),
                      repos={"updates": REPOMD.format("")})
    assert yum.advice("upgrade") == "yum clean expire-cache && yum upgrade"
    commands = [" ".join(action.argv).partition("yum ")[2] for action in yum.upgrade()]
    assert commands == ["-y -q clean expire-cache", "-y -q upgrade"]
    assert list(yum.autoremove()) == []
    assert yum.purge("do-agent").argv[-3:] == ("-q", "remove", "do-agent")


def test_what_nothing_needs_any_more(make_dnf):
    dnf, _ = make_dnf(repoquery="toytool.noarch\n")
    (action,) = dnf.autoremove()
    assert action.argv[-4:] == ("dnf", "-y", "-q", "autoremove")
    assert "toytool" in action.why
    dnf, _ = make_dnf(repoquery="\n")
    assert list(dnf.autoremove()) == []


def test_packages_that_no_repository_has(make_dnf):
    dnf, _ = make_dnf(check=(0, "", ""), repoquery="toytool.noarch\n\n")
    assert [item.name for item in dnf.unavailable] == ["toytool"]
    yum, _ = make_dnf({"/etc/yum.repos.d/rocky.repo": UPDATES}, program="yum",
                      repos={"updates": REPOMD.format("")}, check=(0, "", ""),
                      list="Extra Packages\ntoyssl.x86_64   1.0-1.el9   installed\n")
    assert [item.name for item in yum.unavailable] == ["toyssl"]


def test_the_database_in_its_new_place(make_dnf):
    dnf, run = make_dnf({"/var/lib/rpm": Link("../../usr/lib/sysimage/rpm"),
                         "/var/lib/rpm/rpmdb.sqlite": None,
                         "/usr/lib/sysimage/rpm/rpmdb.sqlite": File("db"),
                         "/usr/lib/sysimage/rpm/rpmdb.sqlite-shm": "x"})
    assert "toyssl" in dnf.installed
    copied = Path(run.top) / run.env["HOME"].lstrip("/")
    assert sorted(path.name for path in (copied.parent / "rpm").iterdir()) == ["rpmdb.sqlite"]
