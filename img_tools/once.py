"""A cached property that threads share: computed once, others wait, and a refusal is kept too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from img_tools.model import Skip, Undecided

T = TypeVar("T")


class once(Generic[T]):
    """Like functools.cached_property, which since 3.12 lets two threads compute at the same time.

    A fact that could not be established (Skip, Undecided) is remembered as well: twenty checks
    must not refresh a dead package mirror twenty times.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__
        self._guard = threading.Lock()

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        with self._guard:
            lock = instance.__dict__.setdefault(f"_lock_{self._name}", threading.RLock())
        with lock:
            kept = instance.__dict__.get(f"_kept_{self._name}")
            if kept is None:
                try:
                    kept = (self._compute(instance), None)
                except (Skip, Undecided) as raised:
                    kept = (None, raised)
                instance.__dict__[f"_kept_{self._name}"] = kept
        value, refusal = kept
        if refusal is not None:
            raise refusal
        return value  # type: ignore[no-any-return]

    @staticmethod
    def peek(instance: Any, name: str) -> Any:
        """The value of NAME if it has been computed, else None; never waits."""
        value, _ = instance.__dict__.get(f"_kept_{name}") or (None, None)
        return value
