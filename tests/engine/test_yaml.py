import pytest

from img_tools import yaml
from img_tools.yaml import Node, NotUnderstood


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
    ("---\na: 1\n", {"a": "1"}),
    ("a: 1\r\nb: x\r\n", {"a": "1", "b": "x"}),
    ("\ufeffa: 1", {"a": "1"}),
    ("a:\nb: ~\nc: null\n", {"a": None, "b": None, "c": None}),
    ("a: [ConfigDrive, 'None', \"x\"] # c", {"a": ["ConfigDrive", "None", "x"]}),
    ("a: [\n  b, # c\n  d,\n]\n", {"a": ["b", "d"]}),
    ("a:\n- b\n- c\nd: e", {"a": ["b", "c"], "d": "e"}),
    ("a:\n   - b\n   - c: d\n     e: f\n", {"a": ["b", {"c": "d", "e": "f"}]}),
    ("- - a\n  - b\n- c", [["a", "b"], "c"]),
    ("a: {b: c, d: [e], f: }", {"a": {"b": "c", "d": ["e"], "f": None}}),
    ('{"a":"b"}', {"a": "b"}),
    ("a: http://x:80/y#z", {"a": "http://x:80/y#z"}),
    ("a: one\n  two\n\n  three", {"a": "one two\nthree"}),
    ("a: 'it''s'\nb: \"x\\ty\\u0041\"", {"a": "it's", "b": "x\tyA"}),
    ('a: "one\n  two"', {"a": "one two"}),
    ("a: |\n  x: y\n   z # no comment\n\nb: c", {"a": "x: y\n z # no comment\n", "b": "c"}),
    ("a: >-\n  x\n  y\n\n  z\n", {"a": "x y\nz"}),
    ("a: !!binary |\n  eHg=\n", {"a": "eHg=\n"}),
    ("a: &x |\n  t\nb: [*x, *x]\n", {"a": "t\n", "b": ["t\n", "t\n"]}),
    ('"a b" : c', {"a b": "c"}),
])
def test_what_is_read(text, value):
    assert plain(yaml.parse(text, "f")) == value


@pytest.mark.parametrize("text", [
    "a: !own x", "<<: *x", "? a\n: b", "a: b\n---\nc: d", "a: b: c", "\ta: b", "a: [b", "a: 'b",
    "a: {b: c", "a: [b c\n d]", "a: *nowhere", "a: \"\\q\"", "a: [a: b]", "a: x\nb", "a: @b",
    "a: b\n c: d", "a: \x07", "a: [b] c", "a: b\n- c", "%YAML 1.1\n---\na: b",
])
def test_what_is_not_read_is_refused_with_its_line(text):
    with pytest.raises(NotUnderstood, match=r"^/etc/f line \d+: .*; it cannot be judged$"):
        yaml.parse(text, "/etc/f")


def test_an_error_shows_nothing_of_the_file():
    with pytest.raises(NotUnderstood) as raised:
        yaml.parse("password: hunter2: x", "f")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("text", [
    "[" * 100_000,
    "- " * 100_000,
    "a: " + "&x " * 5_000,
    "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)),
], ids=["brackets", "dashes", "anchors", "aliases"])
def test_hostile_text_ends_in_an_error(text):
    with pytest.raises(NotUnderstood):
        yaml.parse(text, "f")


def test_lines_and_duplicates_are_kept():
    node = yaml.parse("# c\na:\n  - b\n\n  - x: 1\nd: 2\nd: 3\n", "f")
    found = {keys: value.line for keys, value in node.walk()}
    assert found == {("a",): 3, ("a", "x"): 5, ("d",): 7}
    assert node.get("d") == Node(7, "3")
    assert [value.text for keys, value in node.walk() if keys == ("d",)] == ["2", "3"]
