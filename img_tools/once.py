"""A cached property that threads share: computed once, others wait, and a refusal is kept too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):
    """Like functools.cached_property, which since 3.12 lets two threads compute at the same time.

    An exception is remembered as well: twenty checks must not refresh a dead package mirror twenty
    times. It is raised again for everyone, and says where it first arose; what the frames of that
    time held (open files) is let go.
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
                kept = instance.__dict__[f"_kept_{self._name}"] = self._attempt(instance)
        value, error, place = kept
        if error is not None:
            raise error.with_traceback(place)
        return value  # type: ignore[no-any-return]

    def _attempt(
        self, instance: Any
    ) -> tuple[T | None, Exception | None, TracebackType | None]:
        try:
            return self._compute(instance), None, None
        except Exception as error:  # kept, whatever it is, and raised for each who asks
            import traceback  # seldom needed

            traceback.clear_frames(error.__traceback__)
            return None, error, error.__traceback__

    @staticmethod
    def peek(instance: Any, name: str) -> Any:
        """The value of NAME if it has been computed, else None; never waits."""
        kept = instance.__dict__.get(f"_kept_{name}")
        return kept[0] if kept else None
