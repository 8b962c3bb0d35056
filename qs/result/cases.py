"""The cases of a result by name: each under what tells it from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qs.result.keys import words_of
from qs.result.row import Row


@dataclass(frozen=True)
class NamedCase:
    """A row, under the name that tells it from the other rows."""

    name: str
    row: Row


def named(rows: Sequence[Row]) -> tuple[NamedCase, ...]:
    """Each row under what it does not share with all others; its batch size is always said."""
    words = [words_of(row) for row in rows]
    shared = set(_shared(words)) - {"BS"}
    seen: Counter[str] = Counter()
    found = []
    for row, parts in zip(rows, words):
        name = ", ".join(text for part, text in parts.items() if part not in shared)
        seen[name] += 1
        found.append(NamedCase(name if seen[name] == 1 else f"{name} (#{seen[name]})", row))
    return tuple(found)


def shared_by(rows: Sequence[Row]) -> str:
    """What all rows have in common; of a single one, all but its batch size, which is its name."""
    words = _shared([words_of(row) for row in rows])
    if len(rows) == 1:
        words.pop("BS", None)
    return ", ".join(words.values())


def _shared(words: Sequence[dict[str, str]]) -> dict[str, str]:
    if not words:
        return {}
    return {
        part: text
        for part, text in words[0].items()
        if all(other.get(part) == text for other in words)
    }


def short(case: NamedCase, cases: Sequence[NamedCase]) -> str:
    return case.name if len(cases) > 1 else f"BS {case.row.batch_size}"


def short_name(row: Row) -> str:
    """Its batch size."""
    return f"BS {row.batch_size}"
