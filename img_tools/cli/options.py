"""The options that img-check and img-clean share, each declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from img_tools import __version__
from img_tools.cli import common

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]

FILES, DIRECTORIES = common.path_completion("file"), common.path_completion("dir")
ENDINGS = {"text": ".txt", "json": ".json", "junit": ".xml (JUnit)", "markdown": ".md",
           "html": ".html"}


def _all(*options: Decorator) -> Decorator:
    """OPTIONS as one decorator, in the order of --help."""

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def work(
    verb: str, noun: str, ids: common.Completion, formats: tuple[str, ...], when: str = ""
) -> Decorator:
    """Which image, which plugins, judged how and reported where.

    VERB is what is done to the image and NOUN what does it; WHEN is said of what judges the image.
    """
    *most, last = [ENDINGS[form] for form in formats]
    return _all(
        click.option("--root", default="/", metavar="DIR", shell_complete=DIRECTORIES,
                     help=f"{verb} the image mounted at DIR instead of the running system."),
        click.option("--only", multiple=True, metavar="ID", callback=common.ids,
                     shell_complete=ids,
                     help=f"Run these {noun}s alone (repeat, or separate by commas)."),
        click.option("--skip", multiple=True, metavar="ID", callback=common.ids,
                     shell_complete=ids, help=f"Leave these {noun}s out."),
        click.option("--profile", metavar="NAME",
                     help=f"Judge by this profile{when} (default: marketplace)."),
        click.option("--policy", "policy_file", metavar="FILE", shell_complete=FILES,
                     help="Obey the policy in FILE: profile, disabled checks, severities, waivers, "
                          "what img-clean leaves alone (default: /etc/img-tools/policy.toml, if "
                          "there)."),
        click.option("--plugin-dir", multiple=True, metavar="DIR", shell_complete=DIRECTORIES,
                     help="Load more checks and cleaners from DIR."),
        click.option("--format", "form", type=click.Choice(formats), default="text",
                     show_default=True, help="Format of the report on standard output."),
        click.option("-o", "outputs", multiple=True, metavar="FILE", shell_complete=FILES,
                     help=f"Write one more report: {', '.join(most)} or {last}."),
        click.option("--fail-on", type=click.Choice(["fail", "warn"]), default="fail",
                     show_default=True,
                     help=f"The least finding that makes the exit code 1{when}."),
    )


def words(noun: str, ids: common.Completion, *, quiet: str, verbose: str) -> Decorator:
    """What is told of the NOUNs instead of running them, and how much is told of a run."""
    return _all(
        click.option("--list", "list_them", is_flag=True,
                     help=f"List the {noun}s in order and exit."),
        click.option("--explain", metavar="ID", shell_complete=ids,
                     help=f"Say what a {noun} does and why, and exit."),
        click.option("--schema", is_flag=True,
                     help="Print the JSON Schema of the report and exit."),
        click.option("-q", "--quiet", is_flag=True, help=quiet),
        click.option("-v", "--verbose", is_flag=True, help=verbose),
        click.version_option(__version__, "--version", message="%(prog)s %(version)s"),
    )
