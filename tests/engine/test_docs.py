"""What the documentation shows works as it stands there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from img_tools import plugins
from img_tools.policyfile import PolicyError, load
from tests.support import build, codes, needs

DOCS = Path(__file__).parents[2] / "docs"
CHECKS = {plugin.id: plugin.codes for plugin in plugins.load("img_tools.checks", "check")}


def blocks(name: str, language: str) -> list[str]:
    """The blocks in LANGUAGE of the document NAME."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text("utf-8"), re.S)


def test_the_check_and_the_cleaner_of_the_guide_do_what_it_says(image, tmp_path):
    needs(os.geteuid() == 0, "root to own the plugins")
    check, cleaner, *tests = blocks("writing-a-check.md", "python")
    build(tmp_path, {"/checks/install_log.py": check, "/cleaners/install_log.py": cleaner})
    (find,) = [plugin for plugin in plugins.load("img_tools.checks", "check",
                                                 [str(tmp_path / "checks")])
               if plugin.id == "install-log"]
    (clean,) = [plugin for plugin in plugins.load("img_tools.cleaners", "plan",
                                                  [str(tmp_path / "cleaners")])
                if plugin.id == "install-log"]
    host = image({"/root/install.log": "Installing glibc\n"})
    assert codes(list(find.verb(host))) == [("warn", "install-log")]
    assert [action.path for action in clean.verb(host)] == ["/root/install.log"]
    assert len(find.explanation) >= 150, "as the suite wants it of a check for everybody"
    for test in tests:
        compile(test, "test", "exec")


def test_all_that_the_guide_says_of_host_is_there(image):
    """Every `host.x.y` that it names."""
    host = image()
    text = (DOCS / "writing-a-check.md").read_text("utf-8")
    named = set(re.findall(r"\bhost((?:\.[a-z_]+)+)", text)) - {".py"}
    assert len(named) > 15
    for path in sorted(named):
        first, *rest = path[1:].split(".")
        assert first in {*dir(type(host)), *vars(host)}, path
        if rest:  # not of all: the server that sshd is about is not in this image
            assert hasattr(getattr(host, first), rest[0]), path


def test_the_policy_that_is_shown_is_one(tmp_path):
    needs(os.geteuid() == 0, "root to own the file")
    (shown,) = blocks("policy.md", "toml")
    build(tmp_path, {"/policy.toml": shown})
    policy = load(str(tmp_path / "policy.toml"), CHECKS)
    assert policy.waivers
    assert policy.severity
    assert policy.expected_logs
    assert policy.allowed_repositories


@pytest.mark.parametrize(("nth", "text"), [
    (1, "\n" * 8 + "severity.package-update = 'fail'\n"),
    (3, "\n" * 9 + "severity.'firewall/docker-bypas' = 'fail'\n"),
])
def test_the_error_that_is_shown_is_the_one(tmp_path, nth, text):
    needs(os.geteuid() == 0, "root to own the file")
    (shown,) = [block for block in blocks("policy.md", "console") if "--policy" in block]
    build(tmp_path, {"/policy.toml": text})
    with pytest.raises(PolicyError) as raised:
        load(str(tmp_path / "policy.toml"), CHECKS)
    said = str(raised.value).replace(f"{tmp_path}/", "")
    assert f"img-check: {said}" == shown.splitlines()[nth]
