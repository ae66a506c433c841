"""A dnf or yum that only talks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import dnf


@pytest.fixture
def make_dnf(tmp_path: Path) -> Callable[..., tuple[dnf.Dnf, dnf.Talking]]:
    """make_dnf({path: content}, program="dnf", check=..., repos=...) -> (backend, runner)."""
    return lambda *args, **more: dnf.system(
        tmp_path / str(len(list(tmp_path.iterdir()))), *args, **more)
