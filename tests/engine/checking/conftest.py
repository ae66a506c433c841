"""A check that waits until the test lets it go."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from img_tools.model import Finding
from tests.engine.checking.common import FAIL


class Gate:
    """A check that waits until it is let through; opened at the end of every test."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()

    def __call__(self, host: object) -> Iterator[Finding]:
        self.reached.set()
        self.opened.wait(30)
        yield FAIL


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()
