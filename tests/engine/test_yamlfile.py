import subprocess
import sys

import pytest
import yaml

from img_tools import yamlfile
from img_tools.entries import Unreadable
from img_tools.yamlfile import Node, NotUnderstood
from tests.support import File


@pytest.fixture(params=[True, False], ids=["libyaml", "pure Python"], autouse=True)
def _loader(request, monkeypatch):
    """Everything holds for both: a package may bring a PyYAML without the C library."""
    if request.param and not yaml.__with_libyaml__:
        pytest.skip("needs a PyYAML with libyaml")
    monkeypatch.setattr(yaml, "__with_libyaml__", request.param)


def plain(node: Node) -> object:
    """A tree as Python values, all scalars text."""
    if node.items is not None:
        return [plain(item) for item in node.items]
    if node.pairs is not None:
        return {key: plain(value) for key, value in node.pairs}
    return node.text


@pytest.mark.parametrize(("text", "value"), [
    ("", None),
    ("# nothing\n", None),
    ("---\na: 1\n...\n", {"a": "1"}),
    ("%YAML 1.1\n---\na: b", {"a": "b"}),
    ("\ufeffa: 1\r\nb: x\r\n", {"a": "1", "b": "x"}),
    ("a:\nb: ~\nc: null\nd: 'null'\n", {"a": None, "b": None, "c": None, "d": "null"}),
    ("a: [yes, on, True, no, 'no', 0x1]", {"a": ["True", "True", "True", "False", "no", "1"]}),
    ("a:\n- b\n- c: d\n  e: f\ng: {h: [i], j: }", {"a": ["b", {"c": "d", "e": "f"}],
                                                  "g": {"h": ["i"], "j": None}}),
    ("a: |\n  x: y\n   z # no comment\nb: >-\n  x\n  y\n", {"a": "x: y\n z # no comment\n",
                                                           "b": "x y"}),
    ("a: !!binary |\n  eHg=\n", {"a": "xx"}),
    ("a: &x {t: 1}\nb: [*x, *x]\n", {"a": {"t": "1"}, "b": [{"t": "1"}, {"t": "1"}]}),
    ("? a\n: b", {"a": "b"}),
    ("a: &x {k: 1, l: 1}\nb: {k: 2, <<: *x}\n", {"a": {"k": "1", "l": "1"},
                                                "b": {"k": "2", "l": "1"}}),
    ("a: &x {k: 1}\nb: &y {l: 2}\nc:\n  <<: [*x, *y]\n  m: n\n",
     {"a": {"k": "1"}, "b": {"l": "2"}, "c": {"k": "1", "l": "2", "m": "n"}}),
])
def test_what_is_read(text, value):
    found = yamlfile.parse(text, "f")
    assert plain(found) == value


@pytest.mark.parametrize("text", [
    "a: &x {k: 1, l: 1}\nb: {<<: *x, k: 2}\nc: {k: 3, k: 4}\nd: {<<: [{k: 5}, {l: 6}]}\n",
    "a: &a {<<: &b {k: 1}, <<: {l: 2}}\nb: {<<: [*b, *a], k: 3}\nc: {<<: *a, k: {<<: *a}}\n",
])
def test_a_key_has_the_value_that_the_library_itself_gives_it(text):
    for key, mapping in yaml.safe_load(text).items():
        node = yamlfile.parse(text, "f").get(key)
        assert {name: plain(node.get(name)) for name in mapping} == {
            name: {k: str(v) for k, v in value.items()} if isinstance(value, dict) else str(value)
            for name, value in mapping.items()}


@pytest.mark.parametrize(("text", "line"), [
    ("a: b\nc: !own x", 2), ("\na: !own {b: c}", 2), ("a: !!python/name:os.system", 1),
    ("a: !!omap [b: c]", 1), ("a: !!seq b", 1), ("a: !!seq {b: c}", 1),
    ("a: !!bool b", 1), ("a: !!int ''", 1),
    ("a:\n- 2020-13-45", 2), ("a: 2020-01-01 25:00:00", 1), ("a: =", 1),
    ("<<: x", 1), ("<<: [x]", 1), ("a: b\nc: {<<: [{kk: 1}, {kk: 2}]}", 2),
    ("<<: {kk: 1, kk: 2}", 1), ("[a]: b", 1), ("x:\n<<: *x", 2), ("a: b\n---\nc: d", 2),
    ("a: b: c", 1), ("\ta: b", 1), ("a: *nowhere", 1), ("a: \"\\q\"", 1), ("a: x\nb\n", 3),
    ("a: @b", 1), ("a: b\n c: d", 2), ("a: é\nb: \x07", 2), ("a: é\nb: \udcff", 2),
    ("a: [b] c", 1), ("a: b\n- c", 2), ("a: &x [*x]", 1), ("a: &x 1\nb: &x 2", 2),
])
def test_what_cannot_be_loaded_is_refused_with_its_line(text, line):
    with pytest.raises(NotUnderstood, match=rf"^/etc/f line {line}: .*; it cannot be judged$"):
        yamlfile.parse(text, "/etc/f")


@pytest.mark.parametrize("text", [
    "password: hunter2: x", "password: !hunter2 hunter2", "password: &hunter2 [*hunter3]",
    "password: !!int hunter2", "password: [hunter2", "? [hunter2]\n: x", "a: hunter2\x01",
])
def test_an_error_shows_nothing_of_the_file(text):
    with pytest.raises(NotUnderstood) as raised:
        yamlfile.parse(text, "f")
    assert "hunter" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


BOMB = "a0: &a0 {x: 1, y: 2}\n"


@pytest.mark.parametrize("text", [
    "[" * 10_000,
    "- " * 100_000,
    "{a: " * 2_000,
    "[" * 100 + "]" * 100,
    "a: " + "&x " * 5_000,
    "[" + "a," * 50_000 + "]",
    BOMB + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)),
    BOMB + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n"
                   for i in range(1, 12)),
    BOMB + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2_000)),
], ids=["brackets", "dashes", "braces", "depth", "anchors", "many", "aliases", "merges", "chain"])
def test_hostile_text_ends_in_an_error(text):
    with pytest.raises(NotUnderstood):
        yamlfile.parse(text, "f")


def test_lines_and_duplicates_are_kept():
    node = yamlfile.parse("# c\na:\n  - b\n\n  - x: 1\nd: 2\nd: 3\ne: |\n  t\nf: &f\n  g:\n", "f")
    found = {keys: value.line for keys, value in node.walk()}
    assert found == {("a",): 3, ("a", "x"): 5, ("d",): 7, ("e",): 8, ("f",): 10, ("f", "g"): 11}
    assert node.get("d") == Node(7, "3")
    assert [value.text for keys, value in node.walk() if keys == ("d",)] == ["2", "3"]


def test_a_huge_file_is_not_read(image):
    with pytest.raises(Unreadable, match="larger"):
        yamlfile.read(image({"/x": File("a: b\n", size=1 << 30)}).root, "/x")


def test_who_reads_no_yaml_does_not_pay_for_the_library():
    code = "import sys, img_tools.cli.check, img_tools.host; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
