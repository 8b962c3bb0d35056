"""What a server of a language model tells of itself, in words and tables: its queue and its cache
beside the load, and its times beside the client's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qs.base.words import NOTHING, number, percent
from qs.result.cases import NamedCase
from qs.result.llm_server import Both, State, both_told, counts, states
from qs.result.row import Row
from qs.result.server_words import Table

CACHES = ("KV cache used", "prefix cache hits")  # shares


def llm_server_words(row: Row) -> str:
    """One line of what its queue and its cache came to; "" where it tells nothing."""
    said = [f"{each.name} {_state(each, each.mean)} (most {_state(each, each.most)})"
            for each in states(row)]  # fmt: skip
    said += [f"{each.name} {number(each.number)}" for each in counts(row)]
    said += [_both(each) for each in both_told(row) if each.client_ms is not None]
    return ", ".join(said)


def states_table(cases: Sequence[NamedCase]) -> Table:
    """How many requests ran and waited, how full its cache was, what it had to undo."""
    lines = tuple(_state_lines(cases))
    return Table(("case", "server tells", "mean", "most", "its metric"), lines)


def times_table(cases: Sequence[NamedCase]) -> Table:
    """Means that the server tells beside the client's, and their difference."""
    lines = [
        (
            case.name,
            each.name,
            number(each.server_ms),
            number(each.client_ms),
            number(each.difference_ms),
            each.metric,
        )
        for case in cases
        for each in both_told(case.row)
    ]
    headings = ("case", "time", "server ms", "client ms", "difference ms", "its metric")
    return Table(headings, tuple(lines))


def _state_lines(cases: Sequence[NamedCase]) -> Iterator[tuple[str, ...]]:
    for case in cases:
        for each in states(case.row):
            mean, most = _state(each, each.mean), _state(each, each.most)
            yield case.name, each.name, mean, most, each.metric
        for count in counts(case.row):
            yield case.name, count.name, number(count.number), NOTHING, count.metric


def _state(state: State, value: float | None) -> str:
    if value is None:
        return NOTHING
    return percent(value) if state.name in CACHES else number(value)


def _both(both: Both) -> str:
    return (
        f"{both.name} {number(both.server_ms)} ms by the server, "
        f"{number(both.client_ms)} ms by the client"
    )
