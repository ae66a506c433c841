"""Options and steps that img-check and img-clean share."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

import click

from img_tools.cli import main as shared

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from img_tools.host import Host
    from img_tools.plugins import Plugin
    from img_tools.policyfile import Policy

SUFFIXES = {".txt": "text", ".json": "json", ".xml": "junit", ".md": "markdown", ".html": "html"}


def ids(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Callback of an option that takes ids, repeated or separated by commas.

    An empty one is an error: `--only "$UNSET"` must not mean everything.
    """
    for value in values:
        if not value.strip(", "):
            raise click.BadParameter("names nothing", ctx, param)
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


Completion = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def completing(kind: str, verb: str) -> Completion:
    """Completion of an option that takes ids of the plugins of KIND, after commas too."""

    def complete(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        before, comma, begun = word.rpartition(",")
        return [CompletionItem(f"{before}{comma}{plugin.id}", help=plugin.title)
                for plugin in load_plugins(kind, verb, ()) if plugin.id.startswith(begun)]

    return complete


def path_completion(kind: str) -> Completion:
    """Completion of an option that takes a path: KIND is "file" or "dir", and the shell's work."""

    def complete(ctx: click.Context, param: click.Parameter, word: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(word, type=kind)]

    return complete


def load_plugins(kind: str, verb: str, directories: tuple[str, ...]) -> list[Plugin]:
    """Every plugin of KIND ("checks"), those of /etc/img-tools and of DIRECTORIES too.

    In DIRECTORIES lie checks and cleaners, so that both commands may be given the same.
    """
    from img_tools import plugins

    standard = os.path.join(plugins.SYSTEM_DIR, kind)
    found = [standard] if os.path.isdir(standard) else []
    try:
        return plugins.load(f"img_tools.{kind}", verb, found, directories)
    except plugins.PluginError as error:
        raise click.UsageError(str(error)) from None


def choose_plugins(
    plugins: list[Plugin], only: tuple[str, ...], skip: tuple[str, ...], command: str
) -> list[Plugin]:
    """The plugins to run; an id that none has is a usage error."""
    from img_tools.plugins import UnknownId, choose

    noun = "cleaner" if command == "img-clean" else "check"
    try:
        chosen = choose(plugins, only, skip, noun)
    except UnknownId as error:
        raise click.UsageError(f"{error} ({command} --list shows them)") from None
    if not chosen:
        raise click.UsageError(f"no {noun} is left to run: --only, --skip and the policy file "
                               "exclude each other")
    return chosen


def listing(plugins: list[Plugin]) -> str:
    """A line for each plugin."""
    width = max(len(plugin.id) for plugin in plugins)
    return "".join(f"{plugin.id:{width}}  {plugin.title}\n" for plugin in plugins)


def explanation(plugins: list[Plugin], wanted: str, command: str) -> str:
    """All that the plugin WANTED says of itself."""
    (plugin,) = choose_plugins(plugins, (wanted,), (), command)
    references = "".join(f"  {reference}\n" for reference in plugin.references)
    codes = textwrap.fill(", ".join(plugin.codes or ()), 100, initial_indent="  ",
                          subsequent_indent="  ", break_on_hyphens=False)
    return (f"{plugin.id}: {plugin.title}\n\n{plugin.explanation}\n"
            + (f"\nCodes of its findings, for the policy file:\n{codes}\n" if codes else "")
            + (f"\nReferences:\n{references}" if references else ""))


def read_policy(profile: str | None, path: str | None, checks: list[Plugin]) -> Policy:
    """The policy in the file PATH, its profile filled in; the command line outranks the file."""
    from img_tools import policy, policyfile
    from img_tools.plugins import SYSTEM_DIR

    standard = os.path.join(SYSTEM_DIR, "policy.toml")  # never that of an image at --root
    if path is None and os.path.lexists(standard):
        path = standard
    try:
        loaded = policyfile.NO_POLICY if path is None else policyfile.load(
            path, {check.id: check.codes for check in checks})
        name = policy.profile(profile or loaded.profile or policy.DEFAULT).name
    except policy.UnknownProfile as error:
        raise click.UsageError(f"--profile: {error}") from None
    except policyfile.PolicyError as error:
        raise click.UsageError(str(error)) from None
    return replace(loaded, profile=name)


def enable(plugins: list[Plugin], enabled: tuple[str, ...]) -> list[Plugin]:
    """PLUGINS, those of the ids ENABLED as if they ran by default."""
    return [replace(plugin, default=plugin.default or plugin.id in enabled) for plugin in plugins]


def demand(
    command: str, root: str, outputs: tuple[str, ...], formats: tuple[str, ...]
) -> None:
    """Refuse before anything is done what would fail at the end."""
    suffixes = [suffix for suffix, form in SUFFIXES.items() if form in formats]
    for path in outputs:
        if os.path.splitext(path)[1] not in suffixes:
            raise click.UsageError(f"-o {path}: name it {', '.join(suffixes[:-1])} or "
                                   f"{suffixes[-1]}, the ending tells the format")
        if not os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK):
            raise click.UsageError(f"-o {path}: no such directory, or not writable")
        if os.path.isdir(path):
            raise click.UsageError(f"-o {path}: is a directory")
    if not root or not os.path.isdir(os.path.join(root, "etc")):
        why = "it has no etc/" if os.path.isdir(root) else "no such directory"
        raise click.UsageError(f"--root {root}: not the root of an image ({why})")
    if os.geteuid() != 0:
        again = shlex.join([command, *sys.argv[1:]])
        raise click.UsageError("must run as root, or it would not see what others may not read: "
                               f"sudo {again}")


def open_host(
    root: str, policy: Policy, timeout: float, *, refresh: bool, erase_mode: str = "off"
) -> Host:
    """The image at ROOT, judged by POLICY; a command in it may take 0.9 of TIMEOUT seconds."""
    from img_tools import policy as policies
    from img_tools.host import Host
    from img_tools.rootfs import RootFS
    from img_tools.runner import Runner

    tree = RootFS(root)
    runner = Runner(tree.top, 0.9 * timeout)  # ends first, since it can name the command
    profile = policies.profile(policy.profile or policies.DEFAULT)
    return Host(tree, runner, profile=profile, refresh=refresh, policy=policy,
                erase_mode=erase_mode)


def default_jobs() -> int:
    """Checks that run at once: most wait for something, so more than there are processors."""
    return min(8, (os.cpu_count() or 1) + 2)


def smart(stream: TextIO | None) -> bool:
    """True when STREAM is a terminal that knows more than to print."""
    return (stream is not None and stream.isatty()
            and os.environ.get("TERM", "dumb") != "dumb")


def columns(stream: TextIO | None) -> int:
    """How wide STREAM is: as its terminal says, or COLUMNS; elsewhere 100."""
    if stream is None or not stream.isatty():
        return 100
    if (told := os.environ.get("COLUMNS", "")).isdecimal() and int(told):
        return int(told)
    with contextlib.suppress(OSError):
        return os.get_terminal_size(stream.fileno()).columns or 100  # 0 on a serial console
    return 100


def deliver(render: Callable[[str], str], outputs: tuple[str, ...], shown: str) -> int:
    """Write SHOWN to standard output and to each of OUTPUTS what RENDER makes for its format.

    Every place gets its report, even if another fails: somebody still waits there. Returns 0 or
    BROKEN_PIPE, or raises Undelivered.
    """
    failed: list[shared.Undelivered] = []
    for path in outputs:
        try:
            shared.write_atomically(path, render(SUFFIXES[os.path.splitext(path)[1]]))
        except shared.Undelivered as error:
            failed.append(error)
    code = shared.write_stdout(shown)
    if failed:
        raise failed[0]
    return code
