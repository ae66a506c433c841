"""Checks made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from img_tools.checking import evaluate
from img_tools.model import fail, warn
from img_tools.plugins import Plugin


def plugin(verb: Callable[..., Any], name: str = "sample", *, early: bool = False) -> Plugin:
    return Plugin(id=name, title=f"Title of {name}", explanation="", category="other",
                  references=("row",), early=early, verb=verb, source="sample.py")


def yields(*what: object) -> Callable[..., Iterator[object]]:
    """A check that yields what is no exception of WHAT and raises what is one."""

    def check(host: object) -> Iterator[object]:
        for one in what:
            if isinstance(one, BaseException):
                raise one
            yield one

    return check


def verdict(*what: object) -> tuple[str, str, int]:
    result = evaluate(None, plugin(yields(*what)))
    return result.status.value, result.message, len(result.findings)


FAIL, WARN = fail("bad", "it is bad"), warn("odd", "it is odd")
