"""Finds, validates and orders plugins: modules in a package and files in a directory (row C3)."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from img_tools import trust
from img_tools.model import printable
from img_tools.policy import near
from img_tools.references import linked

SYSTEM_DIR = "/etc/img-tools"
VERBS = ("check", "plan")  # of checks, of cleaners

_LACKING = ("imports {}, which the packaged program does not bring: it has most of the standard "
            "library, click, distro, packaging, psutil and yaml. Do without, or install img-tools "
            "with pipx and add the module to it (pipx inject img-tools MODULE)")


class PluginError(Exception):
    """A plugin that cannot be used; the text names the file and what to mend."""


class UnknownId(Exception):
    """An id on the command line that no plugin has; the text names the near misses."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin, ready to use.

    `title` is the first line of its docstring and `explanation` the rest. `early` ones are started
    first since they wait for something outside; `phase` orders cleaners. One that is not `default`
    (DEFAULT = False) runs only when it is asked for by its id. `codes` are those of its findings,
    None where it does not name them (CODES).
    `verb` is its check() or plan().
    """

    id: str
    title: str
    explanation: str
    category: str
    references: tuple[str, ...]
    early: bool
    verb: Callable[..., Iterator[Any]]
    source: str
    phase: int = 0
    default: bool = True
    codes: tuple[str, ...] | None = None


def load(
    package: str, verb: str, directories: Sequence[str] = (), mixed: Sequence[str] = ()
) -> list[Plugin]:
    """All plugins of PACKAGE ("img_tools.checks"), of DIRECTORIES and of MIXED, sorted by id.

    VERB is the function each must have; in the directories MIXED lie plugins of either kind, and
    those of the other are passed over. Raises PluginError for one that breaks the contract.
    """
    plugins = [_plugin(module, verb) for module in _package_modules(package)]
    plugins += [_plugin(module, verb) for directory in directories
                for module in _directory_modules(directory)]
    plugins += [_plugin(module, verb) for directory in mixed
                for module in _directory_modules(directory) if not _of_other_kind(module, verb)]
    by_id: dict[str, Plugin] = {}
    for plugin in plugins:
        if plugin.id in by_id:
            raise PluginError(f"{plugin.source}: the id '{plugin.id}' is taken by "
                              f"{by_id[plugin.id].source}; rename the file")
        by_id[plugin.id] = plugin
    return [by_id[key] for key in sorted(by_id)]


def _package_modules(package: str) -> Iterator[ModuleType]:
    parent = importlib.import_module(package)
    # The packaged program has no directory to look into: there __all__ says what is frozen in.
    names = getattr(parent, "__all__", None) or [
        info.name for info in pkgutil.iter_modules(parent.__path__)]
    for name in names:
        with _blaming(f"{package}.{name}"):
            module = importlib.import_module(f"{package}.{name}")
        yield module


def _directory_modules(directory: str) -> Iterator[ModuleType]:
    if not os.path.isdir(directory):
        raise PluginError(f"{directory}: no such directory of plugins")
    with _blaming(directory):
        _refuse_unsafe(directory)
        names = sorted(os.listdir(directory))
    for name in names:
        if not name.endswith(".py") or name.startswith(("_", ".")):
            continue
        path = os.path.join(directory, name)
        with _blaming(path):
            _refuse_unsafe(path)
            if not os.path.isfile(path):
                raise PluginError(f"{path}: not a file")
            module = _import_file(path, name.removesuffix(".py"))
        yield module


@contextlib.contextmanager
def _blaming(path: str) -> Iterator[None]:
    """Turn whatever goes wrong, on import too, into a PluginError that names PATH."""
    try:
        yield
    except PluginError:
        raise
    except OSError as error:
        raise PluginError(f"{path}: {error.strerror or error}") from error
    except (Exception, SystemExit) as error:
        raise PluginError(f"{path}: {type(error).__name__}: {error}") from error


def _import_file(path: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"img_tools_plugin_{name}", path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path}: cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # leave no trace beside it
    sys.modules[spec.name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[spec.name]
        if isinstance(error, ModuleNotFoundError) and getattr(sys, "frozen", False):
            raise PluginError(f"{path}: {_LACKING.format(error.name)}") from error
        raise
    finally:
        sys.dont_write_bytecode = keep
    return module


def _refuse_unsafe(path: str) -> None:
    """Refuse what others than root could have written or replaced: it runs as root (section 3)."""
    why = trust.objection(path)
    if why:
        raise PluginError(f"{path}: {why}")


def _of_other_kind(module: ModuleType, verb: str) -> bool:
    """True for a cleaner where checks are loaded, and the other way round."""
    found = {one for one in VERBS if callable(getattr(module, one, None))}
    return bool(found) and verb not in found


def _plugin(module: ModuleType, verb: str) -> Plugin:
    source = getattr(module, "__file__", None) or module.__name__  # frozen ones have no file
    name = module.__name__.rpartition(".")[2].removeprefix("img_tools_plugin_")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise PluginError(f"{source}: name it with lower-case letters, digits and _")
    title, _, explanation = (module.__doc__ or "").strip().partition("\n")
    if not title or title.endswith("."):
        raise PluginError(f"{source}: begin with a docstring: a title without a final period, "
                          "an empty line, the explanation")
    if not callable(getattr(module, verb, None)):
        raise PluginError(f"{source}: has no function {verb}(host)")
    return Plugin(
        id=name.replace("_", "-"), title=printable(title), explanation=explanation.strip(),
        category=_category(module, source), references=_references(module, source),
        early=bool(getattr(module, "EARLY", False)), phase=int(getattr(module, "PHASE", 0)),
        default=bool(getattr(module, "DEFAULT", True)),
        codes=_codes(module, source),
        verb=getattr(module, verb), source=source,
    )


def _category(module: ModuleType, source: str) -> str:
    category = getattr(module, "CATEGORY", "other")
    if not isinstance(category, str) or not re.fullmatch("[a-z][a-z0-9-]*", category):
        raise PluginError(f"{source}: CATEGORY must be one word in lower case")
    return category


def _codes(module: ModuleType, source: str) -> tuple[str, ...] | None:
    codes = getattr(module, "CODES", None)
    if codes is not None and (not isinstance(codes, tuple | list) or not all(
        isinstance(code, str) and re.fullmatch("[a-z][a-z0-9-]*", code) for code in codes
    )):
        raise PluginError(f"{source}: CODES must be a tuple of codes, like (\"left-over\",)")
    return None if codes is None else tuple(sorted(codes))


def _references(module: ModuleType, source: str) -> tuple[str, ...]:
    """REFERENCES; the comma forgotten after a single one would make a reference of each letter."""
    references = getattr(module, "REFERENCES", ())
    if not isinstance(references, tuple | list) or not all(
        isinstance(reference, str) for reference in references
    ):
        raise PluginError(f"{source}: REFERENCES must be a tuple of strings, like (\"...\",)")
    return tuple(linked(printable(reference)) for reference in references)


def choose(
    plugins: Sequence[Plugin], only: Iterable[str], skip: Iterable[str], noun: str = "check"
) -> list[Plugin]:
    """The plugins to run. Raises UnknownId, which calls them NOUN, for an id that none has."""
    only, skip = set(only), set(skip)
    known = [plugin.id for plugin in plugins]
    for wanted in sorted((only | skip) - set(known)):
        raise UnknownId(f"no {noun} '{wanted}'{near(wanted, known)}")
    return [plugin for plugin in plugins
            if plugin.id not in skip and (plugin.id in only if only else plugin.default)]
