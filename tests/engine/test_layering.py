"""Who may import whom (design section 1), read from the sources."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the bottom up: the layer of a module, or of the package it is in. What is not named here is
# a fact about the image (accounts, units, packages, ...): above the root and the runner, below the
# host that offers it to plugins.
LAYERS = {
    "img_tools": 0,  # __version__ alone
    "img_tools.model": 0,
    "img_tools.actions": 1,
    "img_tools.once": 1,
    "img_tools.mounts": 1,
    "img_tools.catalogue": 1,
    "img_tools.policy": 1,
    "img_tools.references": 1,
    "img_tools.trust": 1,
    "img_tools.policyfile": 2,
    "img_tools.schema": 1,
    "img_tools.entries": 1,
    "img_tools.rootfs": 2,
    "img_tools.runner": 2,
    "img_tools.scratch": 3,
    "img_tools.surgery": 3,
    "img_tools.host": 5,
    "img_tools.matching": 6,
    "img_tools.residue": 7,
    "img_tools.checks": 8,
    "img_tools.cleaners": 8,
    "img_tools.plugins": 9,
    "img_tools.checking": 10,
    "img_tools.session": 10,
    "img_tools.removal": 10,
    "img_tools.cleaning": 11,
    "img_tools.report": 12,
    "img_tools.cli": 13,
}
FACT = 4
CHECKS_MAY_IMPORT = {"img_tools.host", "img_tools.model", "img_tools.residue"}
CLEANERS_MAY_IMPORT = CHECKS_MAY_IMPORT | {"img_tools.actions"}


def sources() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for directory, package in (("img_tools", "img_tools"), ("checks", "img_tools.checks"),
                               ("cleaners", "img_tools.cleaners")):
        for path in sorted((ROOT / directory).rglob("*.py")):
            parts = path.relative_to(ROOT / directory).with_suffix("").parts
            name = ".".join([package, *(part for part in parts if part != "__init__")])
            found[name] = path
    return found


SOURCES = sources()
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in SOURCES.items()}
CHECKS = sorted(name for name in SOURCES if name.startswith("img_tools.checks."))
CLEANERS = sorted(name for name in SOURCES if name.startswith("img_tools.cleaners."))


def imported(name: str, nodes: Iterator[ast.AST]) -> set[str]:
    """Absolute names of the modules that NODES of the module NAME import."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import in line {node.lineno}"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in SOURCES else base
                      for alias in node.names}
    return found


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] == "img_tools"}


def layer(name: str) -> int:
    if name in LAYERS:
        return LAYERS[name]
    return LAYERS.get(".".join(name.split(".")[:2]), FACT)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_imports_go_down_only(name):
    """Those inside functions too."""
    for other in ours(imported(name, ast.walk(TREES[name]))):
        same = name.split(".")[:2] == other.split(".")[:2] or layer(name) == FACT == layer(other)
        assert layer(other) < layer(name) or same, f"{name} imports {other}"


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_imports_host_model_and_residue_and_no_other_check(name):
    assert ours(imported(name, ast.walk(TREES[name]))) <= CHECKS_MAY_IMPORT


@pytest.mark.parametrize("name", CLEANERS)
def test_a_cleaner_imports_actions_too_and_no_other_cleaner(name):
    assert ours(imported(name, ast.walk(TREES[name]))) <= CLEANERS_MAY_IMPORT


def test_a_report_knows_the_values_alone():
    for name in SOURCES:
        if name.startswith("img_tools.report"):
            known = {one for one in ours(imported(name, ast.walk(TREES[name])))
                     if not one.startswith("img_tools.report")}
            assert known <= {"img_tools", "img_tools.model", "img_tools.actions",
                             "img_tools.schema"}


def test_only_cleaning_changes_the_image():
    """A cleaner says what it wants; the surgeon is for cleaning.apply alone."""
    users = {name for name, tree in TREES.items()
             if "img_tools.surgery" in imported(name, ast.walk(tree))}
    assert users == {"img_tools.cleaning"}


def test_only_cleaning_erases():
    users = {name for name, tree in TREES.items()
             if "img_tools.erase.engine" in imported(name, ast.walk(tree))}
    assert users == {"img_tools.cleaning"}


def top_level(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs on import: no function bodies, no TYPE_CHECKING."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node


def test_no_module_imports_itself_in_a_circle():
    TopologicalSorter({
        name: ours(imported(name, top_level(tree))) for name, tree in TREES.items()
    }).prepare()


ALLOWED = {"click": ("img_tools.cli",), "distro": ("img_tools.os_release",), "psutil": None,
           "packaging": None, "yaml": ("img_tools.yamlfile",)}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_only_the_declared_packages_are_used_and_only_where_they_belong(name):
    for module in imported(name, ast.walk(TREES[name])) - ours(imported(name,
                                                                        ast.walk(TREES[name]))):
        package = module.partition(".")[0]
        if package in sys.stdlib_module_names:
            continue
        assert package in ALLOWED, f"{name} imports {package}"
        places = ALLOWED[package]
        assert places is None or name.startswith(places)


PROCESSES = {"subprocess", "pty", "multiprocessing"}
STARTERS = {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile"}


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"img_tools.runner"}))
def test_the_runner_is_the_only_place_that_starts_a_process(name):
    assert not imported(name, ast.walk(TREES[name])) & PROCESSES
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) \
                and node.value.id == "os":
            assert node.attr not in STARTERS
            assert not node.attr.startswith(("exec", "spawn"))
    text = SOURCES[name].read_text("utf-8")
    assert "shell=True" not in text
    assert not any(isinstance(node, ast.Name) and node.id in ("eval", "exec", "__import__")
                   for node in ast.walk(TREES[name]))


NO_FILES = {"pathlib", "shutil", "glob", "tempfile", "fileinput", "io"}
OS_WORDS = {"path", "fsdecode", "fsencode", "uname"}
PATH_WORDS = {"basename", "dirname", "join", "normpath", "split", "splitext", "commonpath"}


@pytest.mark.parametrize("name", CHECKS + CLEANERS)
def test_a_plugin_reaches_files_through_the_root_alone(name):
    """Or a link in a hostile image would lead it to the files of the machine it runs on."""
    tree = TREES[name]
    assert not {one.partition(".")[0] for one in imported(name, ast.walk(tree))} & NO_FILES
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "open", f"{name}:{node.lineno}"
        if isinstance(node, ast.Attribute):
            assert node.attr != "host_path", f"{name}:{node.lineno}"
            owner = ast.unparse(node.value)
            allowed = {"os": OS_WORDS, "os.path": PATH_WORDS}.get(owner)
            assert allowed is None or node.attr in allowed, f"{name}:{node.lineno}: {owner}"


@pytest.mark.parametrize("name", CHECKS + CLEANERS)
def test_a_plugin_keeps_off_what_is_private(name):
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
            owner = ast.unparse(node.value)
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            assert not (private and owner.startswith("host")), f"{name}:{node.lineno}"
