"""The single file takes itself away; what is installed in a Python environment says how."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.packaging.support import content, inside, run


def test_self_remove_removes_the_file_its_links_and_its_plugins(tree, single):
    top = tree("bookworm")
    before = content(top)
    shutil.copy(single, top / "root/img-tools")
    (top / "root/img-clean").symlink_to("img-tools")
    (top / "etc/img-tools/checks").mkdir(parents=True)
    inside(top, "/root/img-clean", "--yes", "--only", "mail-and-spools", "--self-remove")
    assert content(top) == before


def test_a_python_environment_is_named_with_what_removes_it():
    program = Path(sys.executable).with_name("img-clean")
    done = run(program, "--dry-run", "--self-remove")
    assert done.returncode == 2
    assert f"rm -rf {sys.prefix}" in " ".join(done.stderr.split())
