"""The conversations of one event loop: which turn falls due next, and what becomes of each.

No clock and no event loop: whoever makes the requests says when an answer came, and asks what is
due. What a sample's `turns` gives is not trusted: where it is no conversation, that ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import index
from typing import Any

from qs.engine.clock import FOREVER_NS
from qs.engine.errors import BrokenCall, is_interrupt, words
from qs.engine.outcome import BEGUN, COMPLETED, CUT, FAILED

# In place of a conversation's number where a new one arrives.
_ARRIVAL = -1


def first_turn(sample: Any) -> Any:
    """The request that a conversation begins with: what a warm-up asks."""
    return next(sample.turns())[0]


@dataclass
class _Conversation:
    turns: Any  # the sample's generator
    request: Any = None  # of the turn that is to be asked
    due_ns: int = 0  # when the turn that was asked last fell due; 0: none was


class Conversations:
    """Those that have been taken up and have not ended, by their numbers."""

    def __init__(
        self,
        samples: Iterator[Any],
        on_broken: Callable[[BrokenCall], None],
        think_ns: int = 0,
        turns: int = FOREVER_NS,
    ):
        """`samples` have `turns`, and `on_broken` is told of one that breaks; `think_ns` passes
        before a turn that states 0; at most `turns` turns are given out.
        """
        self._samples, self._on_broken = samples, on_broken
        self._think_ns, self._left = think_ns, turns
        self._users = False
        self._arrivals: Iterator[int] = iter(())
        self._until_ns = FOREVER_NS
        self._heap: list[tuple[int, int]] = []  # due, and the number of the conversation
        self._known: dict[int, _Conversation] = {}
        self._number = self._begun = self._completed = self._failed = 0

    def open(self, arrivals: Iterator[int], users: int, now_ns: int, until_ns: int) -> None:
        """Begin: so many users with their first conversations, and one at each arrival (ns). No
        turn is due at `until_ns` or later.
        """
        self._arrivals, self._users, self._until_ns = arrivals, users > 0, until_ns
        for _ in range(users):
            self._begin(now_ns)
        self._arrive()

    def __len__(self) -> int:
        """How many turns, and arrivals, are known to fall due."""
        return len(self._heap)

    @property
    def due_ns(self) -> int:
        """When the next turn falls due; FOREVER_NS: none will, unless an answer comes."""
        return self._heap[0][0] if self._heap else FOREVER_NS

    def take(self) -> tuple[int, Any]:
        """The next turn: its conversation's number, and its request (None of one that is broken).
        The last one that may be given out closes the rest.
        """
        due_ns, number = heappop(self._heap)
        if number == _ARRIVAL:
            self._arrive()
            number = self._begin(None)
        talk = self._known[number]
        self._begun += not talk.due_ns
        talk.due_ns = due_ns
        self._left -= 1
        if not self._left:
            self.close()
        return number, talk.request

    def answered(self, number: int, call: Any, now_ns: int) -> None:
        """A turn was answered: its conversation's next turn is due its think time after that, or
        the conversation has ended, and its user begins another.
        """
        talk = self._known[number]
        ended_ns = min(max(call.last_ns, talk.due_ns), now_ns)  # whatever the call says
        if not self._ask(number, call, ended_ns):
            self._completed += 1
            self._end(number, ended_ns)

    def failed(self, number: int, now_ns: int | None) -> None:
        """A turn has failed, which ends its conversation. None: nobody knows what it still does,
        and its user waits for it.
        """
        self._failed += 1
        self._end(number, now_ns)

    def close(self) -> None:
        """No turn falls due any more."""
        self._left = 0
        self._heap.clear()

    def counts(self) -> dict[str, int]:
        """What became of those that had a turn; cut: neither ended nor failed."""
        cut = self._begun - self._completed - self._failed
        return {BEGUN: self._begun, COMPLETED: self._completed, FAILED: self._failed, CUT: cut}

    def _arrive(self) -> None:
        due_ns = next(self._arrivals, None)
        if due_ns is not None and self._left:
            heappush(self._heap, (due_ns, _ARRIVAL))

    def _end(self, number: int, now_ns: int | None) -> None:
        del self._known[number]
        if self._users and now_ns is not None and self._left:
            self._begin(now_ns)

    def _begin(self, after_ns: int | None) -> int:
        """Take up the next sample's conversation."""
        self._number += 1
        try:
            self._known[self._number] = _Conversation(next(self._samples).turns())
        except BaseException as fault:  # a sample may be anything
            self._known[self._number] = _Conversation(None)
            self._break(fault)
        else:
            if not self._ask(self._number, None, after_ns):
                self._break(ValueError("it has no turn"))
        return self._number

    def _ask(self, number: int, call: Any, after_ns: int | None) -> bool:
        """Ask for a turn, which is due its think time after an instant; None: it is due already.
        Whether there is one.
        """
        talk = self._known[number]
        try:
            talk.request, pause = talk.turns.send(call)
            think_ns = index(pause)
            if think_ns < 0:
                raise ValueError(f"a think time of {think_ns} ns")
        except StopIteration:
            return False
        except BaseException as fault:  # it may raise anything
            self._break(fault)
            return True
        if after_ns is not None:
            due_ns = after_ns + (think_ns or self._think_ns)
            if due_ns < self._until_ns and self._left:
                heappush(self._heap, (due_ns, number))
        return True

    def _break(self, fault: BaseException) -> None:
        """The run is to end. Raises an interrupt of the user again."""
        if is_interrupt(fault):
            raise fault
        self.close()
        why = f"a conversation's `turns`: {type(fault).__name__}: {words(fault)}"
        self._on_broken(BrokenCall(why))
