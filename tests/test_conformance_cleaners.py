"""What every cleaner must do, whoever writes it; checks: test_conformance.py."""

from __future__ import annotations

import ast
import contextlib
import re
from pathlib import Path

import pytest

from img_tools.actions import Phase, Write
from img_tools.catalogue import CATALOGUE, Treat
from img_tools.host import Host
from img_tools.model import Skip, Undecided
from img_tools.plugins import load
from img_tools.rootfs import RootFS
from tests.support import NoCommands, build

CLEANERS = load("img_tools.cleaners", "plan")
each_cleaner = pytest.mark.parametrize("plugin", CLEANERS, ids=[one.id for one in CLEANERS])


@each_cleaner
def test_a_cleaner_says_what_it_does_and_when(plugin):
    assert 15 <= len(plugin.title) <= 100
    assert plugin.title[0].isupper()
    assert not plugin.title.endswith((".", "!", ":"))
    assert plugin.title.isascii()
    docstring = ast.get_docstring(ast.parse(Path(plugin.source).read_text("utf-8")), clean=False)
    assert docstring is not None
    assert docstring.split("\n")[1] == "", "an empty line follows the title"
    assert len(plugin.explanation) >= 60
    assert plugin.phase in list(Phase), "PHASE says when its turn comes"


@each_cleaner
def test_a_cleaner_has_tests_of_its_own(plugin):
    tests = Path(__file__).with_name("cleaners") / f"test_{plugin.id.replace('-', '_')}.py"
    assert tests.exists()
    assert re.search("^def test_", tests.read_text("utf-8"), re.M)


@each_cleaner
@pytest.mark.parametrize("files", [{}, {"/etc": {}}], ids=["nothing", "etc"])
def test_in_an_empty_tree_a_cleaner_has_nothing_to_remove(plugin, files, tmp_path):
    build(tmp_path, files)
    host = Host(RootFS(str(tmp_path)), NoCommands(str(tmp_path)), refresh=False)
    planned: list[object] = []
    with contextlib.suppress(Skip, Undecided):
        planned.extend(plugin.verb(host))
    host.close()
    assert [one for one in planned if not isinstance(one, Write)] == []


def test_every_topic_that_is_not_only_reported_has_a_cleaner():
    """Findings advise `img-clean --yes --only TOPIC`."""
    topics = {row.topic for row in CATALOGUE if row.treat is not Treat.REPORT}
    assert topics <= {plugin.id for plugin in CLEANERS}
