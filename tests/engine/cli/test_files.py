"""Files that img-check reads and writes: policy, reports, completion, and what needs no image."""

from __future__ import annotations

import json
import os
import re
import resource
import sys

import pytest

from img_tools import __version__
from tests.engine.cli.common import COMMAND, PLUGINS, call, one_line
from tests.support import build, needs, validated

pytestmark = pytest.mark.skipif(
    not os.path.exists(COMMAND) and not os.environ.get("CI"), reason="img-check is not installed")


# -- the policy file -------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "words"), [
    ('profile = "marketplce"', "no profile 'marketplce'; did you mean marketplace"),
    ("disabled = [", "not TOML"),
    ("\0", "not TOML"),
    ('disabled = ["godo"]', "disabled: no check 'godo'; did you mean good"),
    ('disabled = "good"', "disabled must be a list"),
    ("disabled = [7]", "disabled must be a list"),
    ("profile = 7", "profile must be a string"),
    ('dissabled = ["good"]', "unknown key 'dissabled'; did you mean disabled"),
])
def test_a_bad_policy_file_is_named(run, place, text, words):
    (place / "my.toml").write_text(text)
    line = one_line(run("good", more=["--policy", str(place / "my.toml")]), 2)
    assert re.match(f"img-check: {place}/my.toml(:1)?: ", line)
    assert words in line
    assert line.count("my.toml") == 1


def test_a_bad_profile_on_the_command_line_does_not_blame_the_file(run, place):
    (place / "my.toml").write_text('profile = "marketplace"')
    line = one_line(run("good", more=["--policy", str(place / "my.toml"), "--profile", "x"]), 2)
    assert line.startswith("img-check: --profile: no profile 'x'")


def test_the_policy_disables_and_the_command_line_outranks_it(run, place):
    (place / "my.toml").write_text('disabled = ["bad"]\nprofile = "marketplace-2019"\n')
    more = ["--policy", str(place / "my.toml"), "--format", "json"]
    named = validated(run("good", "bad", more=more).stdout)
    assert [check["id"] for check in named["checks"]] == ["bad", "good"]
    assert named["run"]["profile"] == "marketplace-2019"
    argv = [COMMAND, "--root", str(place / "image"), "--plugin-dir", str(place / "plugins"),
            "--no-refresh", *more, "--profile", "marketplace"]
    whole = validated(call(argv).stdout)
    assert "bad" in whole["run"]["left_out"]
    assert "good" in [check["id"] for check in whole["checks"]]
    assert whole["run"]["profile"] == "marketplace"


WAIVER = '''[[waivers]]
check = "bad"
code = "bad"
justification = "Jo answers for it"
expires = {}
'''


def test_a_waiver_lets_an_image_pass_and_an_expired_one_does_not(run, place):
    """So does no file in the image: it would be the image that waives what is found in it."""
    (place / "my.toml").write_text(WAIVER.format("2999-12-31"))
    build(place / "image", {"/etc/img-tools/policy.toml": WAIVER.format("2999-12-31")})
    more = ["--policy", str(place / "my.toml")]
    done = run("bad", more=more)
    assert (done.returncode, done.stderr) == (0, "")
    assert "WAIVED  bad: it is bad\n        because: Jo answers for it (until 2999-12-31)" in (
        done.stdout)
    (place / "my.toml").write_text(WAIVER.format("2020-12-31"))
    done = run("bad", more=more)
    assert done.returncode == 1
    assert "A waiver expired on 2020-12-31 and does not apply: bad bad\n" in done.stdout
    assert run("bad").returncode == 1


def test_a_severity_decides_about_the_exit_code(run, place):
    (place / "my.toml").write_text('[severity]\nbad = "warn"\nodd = "fail"\n')
    more = ["--policy", str(place / "my.toml")]
    assert [run(name, more=more).returncode for name in ("bad", "odd")] == [0, 1]


def test_what_is_off_by_default_runs_when_the_policy_enables_it(place):
    (place / "my.toml").write_text('enabled = ["long"]\ndisabled = ["bad", "lost", "broken"]\n')
    build(place, {"/plugins/long.py": f'{PLUGINS["/good.py"]}DEFAULT = False\n'})
    argv = [COMMAND, "--root", str(place / "image"), "--plugin-dir", str(place / "plugins"),
            "--no-refresh", "--format", "json"]
    for more, runs in (([], False), (["--policy", str(place / "my.toml")], True)):
        document = validated(call([*argv, *more]).stdout)
        assert ("long" in [check["id"] for check in document["checks"]]) is runs
        assert "long" not in document["run"]["left_out"], "nobody expects it"


def test_a_policy_that_is_not_root_s_is_refused(run, place):
    (place / "my.toml").write_text("")
    os.chown(place / "my.toml", 65534, 0)
    line = one_line(run("good", more=["--policy", str(place / "my.toml")]), 2)
    assert "my.toml: must belong to root and be writable by root alone (chown -h root " in line


def test_an_empty_name_is_not_the_lack_of_one(run):
    """`--policy "$POLICY"` with a variable that is not set."""
    one_line(run("good", more=["--policy", ""]), 2)


# -- completion ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "completed"), [
    ("--only ssh-k", ["plain,ssh-keys"]), ("--skip motd,fst", ["plain,motd,fstab"]),
    ("--explain boo", ["plain,boot"]), ("--root /mn", ["dir,/mn"]), ("-o rep", ["file,rep"]),
    ("--policy /e", ["file,/e"]), ("--format ht", ["plain,html"]),
])
def test_the_shell_completes_ids_and_paths(words, completed):
    done = call([COMMAND], env={**os.environ, "_IMG_CHECK_COMPLETE": "bash_complete",
                                "COMP_WORDS": f"img-check {words}", "COMP_CWORD": "2"})
    assert (done.returncode, done.stdout.splitlines()) == (0, completed)


# -- what needs no root and no image ---------------------------------------------------------------


def test_version_imports_nothing_heavy():
    code = ("import sys\nfrom img_tools.cli.check import command\n"
            "command.main(['--version'], prog_name='img-check', standalone_mode=False)\n"
            "print(sorted({'psutil', 'distro', 'packaging', 'img_tools.checks',"
            " 'img_tools.host'} & {*sys.modules}))\n")
    done = call([sys.executable, "-c", code])
    assert done.stdout == f"img-check {__version__}\n[]\n", done.stderr


def test_version_help_and_schema():
    assert call([COMMAND, "--version"]).stdout == f"img-check {__version__}\n"
    shown = call([COMMAND, "-h"])
    assert shown.returncode == 0
    assert "Exit codes: 0 passed" in shown.stdout
    assert json.loads(call([COMMAND, "--schema"]).stdout)["title"].startswith("img-check report")


def test_list_and_explain(place):
    more = ["--plugin-dir", str(place / "plugins")] if os.geteuid() == 0 else []
    lines = call([COMMAND, "--list", *more]).stdout.splitlines()
    assert lines == sorted(lines)
    assert any(re.fullmatch("shell-history +No account .*[^.]", line) for line in lines)
    assert len({line.index(line.split(None, 1)[1]) for line in lines}) == 1
    shown = call([COMMAND, "--explain", "shell-history"]).stdout
    assert shown.startswith("shell-history: No account")
    assert "kill -9 $$" in shown
    assert "policy file:\n  client-history, shell-history, viewer-history\n" in shown


# -- files -----------------------------------------------------------------------------------------


def test_outputs_are_written_beside_the_report(run, place):
    done = run("bad", "odd", more=["-o", f"{place}/out/a.json", "-o", f"{place}/out/b.txt",
                                   "--color", "always"])
    assert validated((place / "out/a.json").read_text())["verdict"] == "fail"
    assert "FAIL: do not publish this image: bad" in (place / "out/b.txt").read_text()
    assert "\x1b" not in (place / "out/b.txt").read_text()
    assert "\x1b" in done.stdout
    assert sorted(os.listdir(place / "out")) == ["a.json", "b.txt"]
    assert os.stat(place / "out/a.json").st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("form", "suffix", "start"), [
    ("junit", "xml", '<?xml version="1.0" encoding="us-ascii"?>\n<testsuites name="img-check"'),
    ("markdown", "md", "## ❌ FAIL: do not publish this image: bad\n"),
    ("html", "html", "<!DOCTYPE html>\n<html lang=\"en\">"),
])
def test_other_formats_by_their_name_or_ending(run, place, form, suffix, start):
    done = run("bad", "odd", more=["--format", form, "-o", f"{place}/out/r.{suffix}"])
    assert (done.returncode, done.stderr) == (1, "")
    written = (place / f"out/r.{suffix}").read_text("utf-8")
    assert written.startswith(start)
    assert written == done.stdout


def test_an_output_is_replaced_whole(run, place):
    old = place / "out/a.json"
    old.write_text("old " * 100000)
    with open(old) as held:
        assert run("good", more=["-o", str(old)]).returncode == 0
        assert held.read(4) == "old "  # whoever was reading keeps what it had
    validated(old.read_text())


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_an_output_that_cannot_be_written_leaves_the_old_one_and_is_3(run, place):
    (place / "out/a.json").write_text("old")
    done = run("good", more=["-o", f"{place}/out/a.json", "-o", f"{place}/out/b.json"],
               preexec_fn=small_files)
    assert done.returncode == 3
    assert done.stderr == f"img-check: cannot write {place}/out/a.json: File too large\n"
    assert "1 pass" in done.stdout
    assert (place / "out/a.json").read_text() == "old"
    assert os.listdir(place / "out") == ["a.json"]


def test_an_output_on_a_full_disk(arguments, place):
    """A failed image on a full disk is still no 1: the report that was asked for is missing."""
    script = (f"mount -t tmpfs -o size=4k none {place}/out || exit 77\n"
              f"head -c 4096 /dev/zero > {place}/out/a.json\n"
              '"$@"; code=$?\n'
              f"stat -c %s {place}/out/a.json; ls -A {place}/out\nexit $code\n")
    done = call(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh",
                 *arguments("bad", more=["-o", f"{place}/out/a.json"])])
    needs(done.returncode not in (1, 77) or "mount" not in done.stderr + done.stdout,
          "a mount namespace of its own")
    assert done.returncode == 3
    assert done.stderr == f"img-check: cannot write {place}/out/a.json: No space left on device\n"
    assert done.stdout.endswith("\n4096\na.json\n")
