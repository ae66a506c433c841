"""Plugins are found, validated and chosen; what a vendor gets wrong is named with its file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from img_tools.plugins import Plugin, PluginError, UnknownId, choose, load
from tests.support import Fifo, File, Link, build, needs

GOOD = '"""No sample is left\n\nWhat and why.\n"""\n\ndef check(host):\n    yield from ()\n'

Directory = Callable[..., str]


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    """directory({"/name.py": text}) -> a directory of plugins that only root can write to."""
    needs(os.geteuid() == 0, "root to own the plugins")
    top = tmp_path / "plugins"
    top.mkdir(mode=0o755)

    def make(files: dict[str, object]) -> str:
        build(top, files)
        return str(top)

    return make


def load_from(*directories: str) -> list[Plugin]:
    return [plugin for plugin in load("img_tools.checks", "check", directories)
            if os.path.basename(os.path.dirname(plugin.source)) != "checks"]


def test_a_file_in_a_directory_is_a_check(directory):
    place = directory({"/no_sample.py": GOOD + 'CATEGORY = "vendor"\nREFERENCES = ("row",)\n'
                                               "EARLY = True\n"})
    (plugin,) = load_from(place)
    assert (plugin.id, plugin.title, plugin.explanation) == (
        "no-sample", "No sample is left", "What and why.")
    assert (plugin.category, plugin.references, plugin.early) == ("vendor", ("row",), True)
    assert list(plugin.verb(None)) == []
    assert plugin.source == f"{place}/no_sample.py"


def test_what_a_plugin_need_not_say(directory):
    (plugin,) = load_from(directory({"/x.py": GOOD}))
    assert (plugin.category, plugin.references, plugin.codes) == ("other", (), None)
    assert not plugin.early


def test_ours_and_the_vendor_s_come_sorted_together(directory):
    ids = [plugin.id for plugin in load("img_tools.checks", "check",
                                        [directory({"/zz_last.py": GOOD, "/aa_first.py": GOOD})])]
    assert ids == sorted(ids)
    assert ids[0] == "aa-first"
    assert "shell-history" in ids


def test_a_directory_for_both_commands_holds_either_kind(directory):
    cleaner = GOOD.replace("def check(", "def plan(")
    place = directory({"/find.py": GOOD, "/mend.py": cleaner,
                       "/both.py": GOOD + "plan = check\n"})
    found = {verb: [plugin.id for plugin in load(f"img_tools.{kind}", verb, (), [place])
                    if plugin.source.startswith(place)]
             for kind, verb in (("checks", "check"), ("cleaners", "plan"))}
    assert found == {"check": ["both", "find"], "plan": ["both", "mend"]}
    with pytest.raises(PluginError, match=r"mend.py: has no function check\(host\)"):
        load_from(place)
    with pytest.raises(PluginError, match=r"typo.py: has no function check\(host\)"):
        load("img_tools.checks", "check", (), [directory({"/typo.py": '"""T"""\nchekc = 1\n'})])


def test_other_files_are_left_alone(directory):
    place = directory({"/x.py": GOOD, "/_helper.py": "raise SystemExit", "/.x.py": "(",
                       "/README": "", "/x.py~": "(", "/data.json": "{", "/.#x.py": Link("nowhere")})
    assert [plugin.id for plugin in load_from(place)] == ["x"]


def test_nothing_is_written_beside_plugins_and_nothing_is_put_on_the_path(directory):
    place = directory({"/x.py": GOOD})
    before = list(sys.path)
    load_from(place)
    assert os.listdir(place) == ["x.py"]
    assert sys.path == before


def test_a_plugin_may_use_dataclasses_with_deferred_annotations(directory):
    """They look their module up in sys.modules."""
    text = GOOD.replace("def check", "from __future__ import annotations\n"
                        "import dataclasses, typing\n\n@dataclasses.dataclass\nclass Thing:\n"
                        "    x: typing.ClassVar[int] = 1\n    y: int = 2\n\ndef check")
    assert load_from(directory({"/x.py": text}))


@pytest.mark.parametrize(("text", "complaint"), [
    ("def check(host): pass", "begin with a docstring"),
    ('"""   """\ndef check(host): pass', "begin with a docstring"),
    ('"""A title with a period.\n\nWhy.\n"""\ndef check(host): pass', "without a final period"),
    ('"""No verb"""\n', r"has no function check\(host\)"),
    ('"""No verb"""\ncheck = 7\n', r"has no function check\(host\)"),
    ("def check(host:\n", "SyntaxError"),
    ("\0", "SyntaxError|ValueError"),
    ("# -*- coding: nonesuch -*-\n", "SyntaxError"),
    (b"\xff\n", "SyntaxError|UnicodeDecodeError"),
    ('"""T"""\nimport no_such_module\n', "No module named 'no_such_module'"),
    ('"""T"""\nfrom img_tools.host import Hots\n', "cannot import name 'Hots'"),
    ('"""T"""\nimport sibling\n', "No module named 'sibling'"),
    ('"""T"""\n1 / 0\n', "ZeroDivisionError"),
    ('"""T"""\nraise SystemExit(0)\n', "SystemExit"),
    (GOOD + 'REFERENCES = ("forgot the comma")\n', r'REFERENCES must be a tuple of strings'),
    (GOOD + "REFERENCES = (1,)\n", "REFERENCES must be a tuple of strings"),
    (GOOD + 'CODES = "left-over"\n', "CODES must be a tuple of codes"),
    (GOOD + 'CODES = ("Left over",)\n', "CODES must be a tuple of codes"),
    (GOOD + "CATEGORY = None\n", "CATEGORY must be one word"),
    (GOOD + 'CATEGORY = "Two Words"\n', "CATEGORY must be one word"),
])
def test_a_broken_plugin_is_refused_by_name(directory, text, complaint):
    place = directory({"/broken.py": text, "/sibling.py": GOOD})
    with pytest.raises(PluginError, match=complaint) as raised:
        load_from(place)
    assert f"{place}/broken.py" in str(raised.value)


@pytest.mark.parametrize("name", ["/My_Check.py", "/two-words.py", "/9lives.py", "/x y.py",
                                  "/\udcff.py"])
def test_a_name_that_makes_no_id_is_refused(directory, name):
    with pytest.raises(PluginError, match="lower-case letters, digits and _"):
        load_from(directory({name: GOOD}))


def test_a_title_from_a_plugin_is_made_printable(directory):
    (plugin,) = load_from(directory({"/x.py": GOOD.replace("No sample", "No \\x1b[31m sample")}))
    assert plugin.title == r"No \x1b[31m sample is left"


@pytest.mark.parametrize(("reference", "address"), [
    ("build-an-image: no preset passwords", "(https://github.com/digitalocean/"),
    ("machine-id(5)", "(https://manpages.debian.org/machine-id.5)"),
    ("CVE-2018-10896: host keys kept", "(https://nvd.nist.gov/vuln/detail/CVE-2018-10896)"),
    ("https://example.org", ""), ("our own rule 7", ""), ("build-an-imagery", ""),
])
def test_a_known_source_gets_its_address(directory, reference, address):
    place = directory({"/x.py": f'{GOOD}REFERENCES = ("{reference}",)\n'})
    (plugin,) = load_from(place)
    (shown,) = plugin.references
    assert shown.startswith(f"{reference} {address}".strip())
    assert bool(address) is shown.endswith(")")


def test_an_id_is_taken_once(directory, tmp_path):
    place = directory({"/shell_history.py": GOOD})
    with pytest.raises(PluginError, match=r"the id 'shell-history' is taken by .*shell_history\.py"
                                          "; rename the file"):
        load_from(place)
    os.rename(f"{place}/shell_history.py", f"{place}/x.py")
    with pytest.raises(PluginError, match=r"x\.py: the id 'x' is taken by .*x\.py"):
        load_from(place, place)


# -- who may have written it -----------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_can_write_is_refused(directory, mode):
    with pytest.raises(PluginError, match="must belong to root and be writable by root alone"):
        load_from(directory({"/x.py": File(GOOD, mode=mode)}))


def test_a_file_that_is_not_root_s_is_refused(directory):
    place = directory({"/x.py": GOOD})
    os.chown(f"{place}/x.py", 1000, 0)
    with pytest.raises(PluginError, match=r"x\.py: must belong to root.*chown -h root .*/x\.py"):
        load_from(place)


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_directory_that_others_can_write_is_refused_even_when_sticky(directory, mode):
    """In a sticky one others cannot replace a file, but add one."""
    place = directory({"/x.py": GOOD})
    os.chmod(place, mode)
    with pytest.raises(PluginError, match=f"^{place}: must belong to root"):
        load_from(place)


def test_a_directory_above_that_others_can_write_is_refused(directory, tmp_path):
    place = directory({"/x.py": GOOD})
    os.chmod(tmp_path, 0o777)
    with pytest.raises(PluginError, match=f"^{place}: {tmp_path} must belong to root"):
        load_from(place)
    os.chmod(tmp_path, 0o1777)
    assert load_from(place)


def test_a_link_counts_for_what_it_leads_to(directory, tmp_path):
    build(tmp_path, {"/safe/x.py": GOOD, "/loose/y.py": GOOD, "/theirs/z.py": GOOD})
    place = directory({"/x.py": Link("../safe/x.py")})
    assert [plugin.id for plugin in load_from(place)] == ["x"]
    os.symlink("../loose/y.py", f"{place}/y.py")
    os.chmod(tmp_path / "loose", 0o777)
    with pytest.raises(PluginError, match=r"/y\.py: .*/loose must belong to root"):
        load_from(place)
    os.unlink(f"{place}/y.py")
    os.symlink("../theirs/z.py", f"{place}/z.py")
    os.chown(tmp_path / "theirs/z.py", 1000, 0)
    with pytest.raises(PluginError, match=r"/z\.py: .*/theirs/z\.py must belong to root"):
        load_from(place)


def test_a_link_that_is_not_root_s_can_be_turned_elsewhere(directory, tmp_path):
    place = directory({"/x.py": GOOD})
    os.symlink(place, tmp_path / "link")
    assert load_from(str(tmp_path / "link"))
    os.chown(tmp_path / "link", 1000, 0, follow_symlinks=False)
    with pytest.raises(PluginError, match="link: must belong to root"):
        load_from(str(tmp_path / "link"))


@pytest.mark.parametrize("what", [Fifo(), {}, Link("x.py"), Link("nowhere")])
def test_what_is_no_file_is_refused_without_waiting(directory, what):
    with pytest.raises(PluginError, match=r"/x\.py: "):
        load_from(directory({"/x.py": what}))


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(PluginError, match="nonesuch: no such directory of plugins"):
        load_from(str(tmp_path / "nonesuch"))
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match="file: no such directory of plugins"):
        load_from(str(tmp_path / "file"))


# -- choosing --------------------------------------------------------------------------------------


def plugins(*names: str) -> list[Plugin]:
    return [Plugin(name, "T", "", "other", (), False, lambda host: iter(()), "") for name in names]


@pytest.mark.parametrize(("only", "skip", "left"), [
    ([], [], ["a", "b", "c"]), (["b"], [], ["b"]), (["c", "a"], [], ["a", "c"]),
    ([], ["b"], ["a", "c"]), (["a", "b"], ["b"], ["a"]), (["a"], ["a"], []),
])
def test_only_and_skip(only, skip, left):
    assert [plugin.id for plugin in choose(plugins("a", "b", "c"), only, skip)] == left


@pytest.mark.parametrize("place", ["only", "skip"])
def test_an_unknown_id_names_the_near_misses(place):
    known = plugins("shell-history", "ssh-server", "motd")
    with pytest.raises(UnknownId, match=r"^no check 'shel-history'; did you mean shell-history"):
        choose(known, **{"only": [], "skip": [], place: ["shel-history"]})
    with pytest.raises(UnknownId, match=r"^no check 'zzzzzzzz'$"):
        choose(known, **{"only": [], "skip": [], place: ["zzzzzzzz"]})
