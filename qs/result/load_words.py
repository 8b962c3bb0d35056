"""What the load came to beside its queries, in words: conversations, and queries that a cap held
back. The names are those that the engine counts by.
"""

from __future__ import annotations

from qs.base.words import counted, number, span
from qs.result.row import Row

BEGUN = "conversations begun"
ENDS = ("completed", "failed", "cut")
HELD_BACK, HELD_BACK_MS = "held back", "ms held back in all"
# All of them, among `Row.counts`.
NAMES = frozenset({BEGUN, *(f"conversations {end}" for end in ENDS), HELD_BACK, HELD_BACK_MS})


def load_words(row: Row) -> str:
    """ "" where nothing was counted."""
    counts, said = row.counts or {}, []
    if BEGUN in counts:
        ends = {end: counts.get(f"conversations {end}", 0) for end in ENDS}
        known = ", ".join(f"{number(count)} {end}" for end, count in ends.items() if count)
        said.append(f"{counted(counts[BEGUN], 'conversation')} begun" + (known and f": {known}"))
    if counts.get(HELD_BACK):
        waited = span(counts.get(HELD_BACK_MS, 0) / 1e3)
        held = counted(counts[HELD_BACK], "query").replace("querys", "queries")
        said.append(f"{held} held back by --clients, for {waited} in all")
    return "; ".join(said)
