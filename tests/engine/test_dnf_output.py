"""What dnf and yum print, and versions as rpm compares them."""

from __future__ import annotations

import pytest

from img_tools.model import Undecided
from img_tools.packages import dnf_output, rpmdb


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
