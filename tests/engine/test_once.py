"""Facts are established once, for all threads and for good."""

from __future__ import annotations

import gc
import threading
import traceback
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from img_tools.model import Skip, Undecided
from img_tools.once import once


class Facts:
    """Counts how often each fact is established."""

    def __init__(self) -> None:
        self.calls = 0
        self.raised: Exception | None = None
        self.value: object = "value"
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    @once
    def fact(self) -> object:
        """A fact."""
        self.calls += 1
        self.may_go_on.wait(10)
        if self.raised:
            raise self.raised
        return self.value

    @once
    def derived(self) -> object:
        """A fact that needs the other."""
        return [self.fact]


def test_many_threads_ask_and_one_computes():
    facts = Facts()
    facts.may_go_on.clear()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(lambda: facts.fact) for _ in range(8)]
        facts.may_go_on.set()
        assert [answer.result(10) for answer in answers] == ["value"] * 8
    assert facts.calls == 1


@pytest.mark.parametrize("error", [Skip("why"), Undecided("why"), ValueError("why")])
def test_a_refusal_is_kept_for_everyone(error):
    """Twenty checks must not wait for a dead mirror twenty times."""
    facts = Facts()
    facts.raised = error
    for _ in range(3):
        with pytest.raises(type(error), match="why") as raised:
            facts.fact  # noqa: B018
        assert raised.value is error
    assert facts.calls == 1


def test_a_refusal_says_where_it_arose_and_does_not_grow():
    facts = Facts()
    facts.raised = ValueError("why")
    places = []
    for _ in range(3):
        with pytest.raises(ValueError, match="why") as raised:
            facts.fact  # noqa: B018
        frames = traceback.extract_tb(raised.value.__traceback__)
        places.append([(frame.name, frame.lineno) for frame in frames][1:])
    assert places[0] == places[1] == places[2]
    assert places[0][-1][0] == "fact"


def test_a_refusal_holds_nothing_of_its_time():
    class Open:
        """Stands for a file."""

    class Holder:
        @once
        def fact(self) -> None:
            """Fails with something open."""
            held = Open()
            seen.append(weakref.ref(held))
            raise ValueError("why")

    seen: list[weakref.ref[Open]] = []
    holder = Holder()
    with pytest.raises(ValueError, match="why"):
        holder.fact  # noqa: B018
    gc.collect()
    assert seen[0]() is None


def test_nothing_is_a_value_too():
    facts = Facts()
    facts.value = None
    assert facts.fact is None
    assert facts.fact is None
    assert facts.calls == 1


def test_facts_of_two_instances_are_their_own():
    one, other = Facts(), Facts()
    other.value = "other"
    assert (one.fact, other.fact) == ("value", "other")


def test_a_fact_may_need_another():
    facts = Facts()
    assert facts.derived == ["value"]
    assert facts.calls == 1


def test_peek_never_computes_and_never_waits():
    facts = Facts()
    assert once.peek(facts, "fact") is None
    facts.may_go_on.clear()
    asking = threading.Thread(target=lambda: facts.fact)
    asking.start()
    assert once.peek(facts, "fact") is None
    facts.may_go_on.set()
    asking.join(10)
    assert once.peek(facts, "fact") == "value"


def test_peek_at_a_refusal_shows_nothing():
    facts = Facts()
    facts.raised = Undecided("why")
    with pytest.raises(Undecided):
        facts.fact  # noqa: B018
    assert once.peek(facts, "fact") is None
