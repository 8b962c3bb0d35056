"""Conversations on a clock of numbers: when each turn falls due, which come to an end, and what
becomes of samples that are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.engine.clock import FOREVER_NS
from qs.engine.errors import BrokenCall
from qs.engine.outcome import BEGUN, COMPLETED, CUT, FAILED
from qs.engine.talks.conversations import Conversations, first_turn


class Talk:
    """A conversation of turns with these think times; each request is (name, turn)."""

    def __init__(self, name: str, *think_ns: int):
        self.name, self.think_ns, self.heard = name, think_ns, []

    def turns(self):
        for turn, think_ns in enumerate(self.think_ns):
            call = yield (self.name, turn), think_ns
            self.heard.append(call)


def answer(last_ns: int) -> SimpleNamespace:
    return SimpleNamespace(last_ns=last_ns)


def talks_of(
    *samples: object, think_ns: int = 0, turns: int = FOREVER_NS
) -> tuple[Conversations, list[BrokenCall]]:
    broken: list[BrokenCall] = []
    return Conversations(cycle(samples), broken.append, think_ns, turns), broken


def opened(
    *samples: object,
    arrivals: Iterable[int] = (),
    users: int = 0,
    until_ns: int = FOREVER_NS,
    **options: int,
) -> Conversations:
    found, broken = talks_of(*samples, **options)
    found.open(iter(arrivals), users, 100, until_ns)
    assert not broken
    return found


def played(
    talks: Conversations, service_ns: int = 5, most: int = 10_000
) -> Iterator[tuple[int, object]]:
    """Every turn, with its due time, by a target that answers each in the same time."""
    flying: list[tuple[int, int]] = []
    for _ in range(most):
        if flying and (not talks or flying[0][0] <= talks.due_ns):
            now_ns, number = flying.pop(0)
            talks.answered(number, answer(now_ns), now_ns)
        elif talks:
            due_ns = talks.due_ns
            number, request = talks.take()
            flying = sorted([*flying, (due_ns + service_ns, number)])
            yield due_ns, request
        else:
            return


def test_a_turn_is_due_its_think_time_after_the_answer_to_the_one_before():
    talk = Talk("a", 7, 20, 0)
    talks = opened(talk, arrivals=[300])
    assert list(played(talks)) == [(300, ("a", 0)), (325, ("a", 1)), (330, ("a", 2))]
    assert [call.last_ns for call in talk.heard] == [305, 330, 335]
    assert talks.counts() == {BEGUN: 1, COMPLETED: 1, FAILED: 0, CUT: 0}


def test_a_user_thinks_before_each_turn_and_begins_the_next_when_the_last_has_ended():
    talks = opened(Talk("a", 7, 20), Talk("b", 0), users=1)
    turns = list(played(talks, most=10))
    assert turns[:5] == [
        (107, ("a", 0)),
        (132, ("a", 1)),
        (137, ("b", 0)),
        (149, ("a", 0)),
        (174, ("a", 1)),
    ]


def test_the_think_time_of_the_load_is_that_of_turns_that_state_none():
    talks = opened(Talk("a", 0, 0, 4), arrivals=[300], think_ns=50)
    assert [due for due, _ in played(talks)] == [300, 355, 364]


def test_users_are_as_many_at_a_time_as_there_are():
    talks = opened(Talk("a", 0, 0, 0), users=3)
    assert len(talks) == 3
    assert [talks.take()[1] for _ in range(3)] == [("a", 0)] * 3
    assert not talks
    talks.answered(2, answer(200), 200)
    assert len(talks) == 1


def test_no_turn_falls_due_at_the_end_or_later_and_what_was_begun_is_cut():
    talks = opened(Talk("a", 0, 40), arrivals=[300, 310, 350], until_ns=352)
    due = [(300, ("a", 0)), (310, ("a", 0)), (345, ("a", 1)), (350, ("a", 0))]
    assert list(played(talks)) == due
    assert talks.counts() == {BEGUN: 3, COMPLETED: 1, FAILED: 0, CUT: 2}


def test_conversations_whose_first_turn_never_fell_due_have_not_begun():
    talks = opened(Talk("a", 1_000), users=4, until_ns=500)
    assert list(played(talks)) == []
    assert talks.counts() == {BEGUN: 0, COMPLETED: 0, FAILED: 0, CUT: 0}


def test_the_count_of_turns_is_kept_and_the_rest_is_cut():
    talks = opened(Talk("a", 0, 0, 0), users=2, turns=7)
    assert len(list(played(talks))) == 7
    assert talks.counts() == {BEGUN: 3, COMPLETED: 2, FAILED: 0, CUT: 1}
    none = opened(Talk("a", 0), users=2, turns=0)
    assert list(played(none)) == []


def test_a_failed_turn_ends_its_conversation_and_its_user_begins_the_next():
    talks = opened(Talk("a", 0, 0), Talk("b", 3), users=1)
    number, _ = talks.take()
    talks.failed(number, 250)
    assert (talks.due_ns, talks.take()[1]) == (253, ("b", 0))
    assert talks.counts() == {BEGUN: 2, COMPLETED: 0, FAILED: 1, CUT: 1}


def test_a_user_whose_turn_never_comes_back_waits_for_it():
    talks = opened(Talk("a", 0), users=1)
    number, _ = talks.take()
    talks.failed(number, None)
    assert not talks


@pytest.mark.parametrize(("last_ns", "due_ns"), [(0, 300), (1 << 70, 320), (310, 310)])
def test_an_answer_lies_between_its_due_time_and_now_whatever_it_says(last_ns, due_ns):
    talks = opened(Talk("a", 0, 0), arrivals=[300])
    number, _ = talks.take()
    talks.answered(number, answer(last_ns), 320)
    assert talks.due_ns == due_ns


def test_a_warm_up_asks_first_turns():
    assert first_turn(Talk("a", 0, 0)) == ("a", 0)


def raises():
    raise RuntimeError("no idea")
    yield


def later():
    yield "hello", 0
    raise RuntimeError("no idea")


def only(turn: object):
    yield turn


@pytest.mark.parametrize(
    ("sample", "why"),
    [
        (b"a plain request", "AttributeError"),
        (SimpleNamespace(turns=None), "TypeError"),
        (SimpleNamespace(turns=list), "AttributeError"),
        (SimpleNamespace(turns=raises), "RuntimeError: no idea"),
        (SimpleNamespace(turns=lambda: (each for each in ())), "ValueError: it has no turn"),
        (SimpleNamespace(turns=lambda: only("hello")), "ValueError: too many values"),
        (SimpleNamespace(turns=lambda: only(None)), "TypeError"),
        (SimpleNamespace(turns=lambda: only(("hello", -1))), "ValueError: a think time of -1 ns"),
        (SimpleNamespace(turns=lambda: only(("hello", 0.5))), "TypeError"),
        (SimpleNamespace(turns=lambda: only(("hello", None))), "TypeError"),
    ],
)
@pytest.mark.parametrize("users", [0, 1])
def test_what_is_no_conversation_is_told_once_and_closes_the_rest(sample, why, users):
    talks, broken = talks_of(sample)
    talks.open(iter([300, 400]), users, 100, FOREVER_NS)
    if not users:
        talks.take()
    assert [str(each).startswith("a conversation's `turns`: ") for each in broken] == [True]
    assert why in str(broken[0])
    assert not talks


def test_a_conversation_that_breaks_later_is_told_too():
    talks, broken = talks_of(SimpleNamespace(turns=later))
    talks.open(iter(()), 1, 100, FOREVER_NS)
    talks.answered(talks.take()[0], answer(200), 200)
    assert "RuntimeError: no idea" in str(broken[0])
    assert not talks


def test_a_conversation_may_go_on_for_ever_and_think_for_ever():
    def endless():
        while True:
            yield "again", 0

    talks = opened(SimpleNamespace(turns=endless), users=2, until_ns=1_000)
    assert len(list(played(talks))) == 2 * 180
    patient = opened(Talk("a", 0, 10**40), arrivals=[300])
    assert list(played(patient)) == [(300, ("a", 0))]
    assert patient.counts()[CUT] == 1


@given(
    st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=5), min_size=1, max_size=6),
    st.lists(st.integers(100, 400), max_size=12).map(sorted),
    st.integers(0, 4),
    st.integers(101, 600),
    st.integers(0, 40),
)
def test_turns_fall_due_in_order_and_every_conversation_is_counted_once(
    thinks, arrivals, users, until_ns, turns
):
    samples = [Talk(str(number), *each) for number, each in enumerate(thinks)]
    talks, broken = talks_of(*samples, turns=turns)
    talks.open(iter(arrivals), users, 100, until_ns)
    found = list(played(talks))
    due = [each for each, _ in found]
    assert not broken and len(found) <= turns
    assert due == sorted(due)
    assert all(each < until_ns for each in due[:1] if not arrivals)
    counts = talks.counts()
    assert counts[BEGUN] == counts[COMPLETED] + counts[FAILED] + counts[CUT]
    assert counts[BEGUN] == sum(request[1] == 0 for _, request in found)
    assert counts[CUT] >= 0
