"""The nodes of a result in words: one line for every view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qs.base.words import NOTHING, counted, number, span
from qs.result.cases import NamedCase
from qs.result.node_facts import listed
from qs.result.nodes_entry import NodeEntry
from qs.result.row import Row

NODES = "nodes"
MOST_CASES = 3  # with words of their own
LONGEST = 200  # characters of a reason


def nodes_facts(cases: Sequence[NamedCase]) -> Iterator[tuple[str, str]]:
    """(name, text): which nodes shared the load, and what became of them."""
    texts = [(case.name, nodes_words(case.row)) for case in cases if case.row.nodes]
    if not texts:
        return
    if len({text for _, text in texts}) == 1:
        yield NODES, texts[0][1]
        return
    shown = [f"{case}: {text}" for case, text in texts[:MOST_CASES]]
    more = len(texts) - len(shown)
    yield NODES, "; ".join(shown) + (f"; and {counted(more, 'more case')}" if more > 0 else "")


def nodes_words(row: Row) -> str:
    """3 nodes (a, b and c), began within 0.4 ms of the common start (known to 0.05 ms); ..."""
    whole = [each for each in row.nodes if not each.replaces]
    said = [f"{counted(len(whole), 'node')} ({listed([each.name for each in whole] or ['none'])})"]
    if row.start_skew_ms is not None:
        known = row.clock_uncertainty_ms
        within = "" if known is None else f" (known to {number(known)} ms)"
        said.append(f"began within {number(row.start_skew_ms)} ms of the common start{within}")
    said += _some([lost_words(each) for each in row.nodes if each.lost], "more lost")
    taken = [f"{each.name} took over from {each.replaces}" for each in row.nodes if each.replaces]
    return "; ".join([*said, *_some(taken, "more taken over")])


def _some(texts: Sequence[str], others: str) -> list[str]:
    more = len(texts) - MOST_CASES
    return [*texts[:MOST_CASES], *([f"{more} {others}"] if more > 0 else [])]


def lost_words(entry: NodeEntry) -> str:
    """b was lost after 12 s (what it measured until 11 s is kept): why."""
    when = "" if entry.lost_at_s is None else f" after {span(max(float(entry.lost_at_s), 0.0))}"
    kept = (
        "; nothing that it measured is kept"
        if not entry.kept_until_s
        else f"; what it measured until {span(float(entry.kept_until_s))} is kept"
    )
    return f"{entry.name} was lost{when}{kept}: {(entry.lost or NOTHING)[:LONGEST]}"
