"""Energy per item of two sides, beside what is compared. It has no interval, so no verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qs.base.words import signed_percent
from qs.result.power import joules
from qs.result.row import Row


def energy_notes(a: Sequence[Row], b: Sequence[Row]) -> Iterator[str]:
    """One line where both sides know their energy."""
    ours, theirs = _of(a), _of(b)
    if ours is None or theirs is None:
        return
    (mean_a, sum_a), (mean_b, sum_b) = ours, theirs
    said = f"energy per item: A {' '.join(joules(mean_a))}, B {' '.join(joules(mean_b))}"
    if sum_a != sum_b:
        yield f"{said}; of unlike sums: A of {' + '.join(sum_a)}, B of {' + '.join(sum_b)}"
        return
    yield f"{said} ({signed_percent(mean_b / mean_a - 1.0)}); without an interval, so no verdict"


def _of(rows: Sequence[Row]) -> tuple[float, tuple[str, ...]] | None:
    """The mean over the runs that know it, and what it is the sum of."""
    known = [row for row in rows if row.energy_per_item_j and row.telemetry is not None]
    if not known:
        return None
    counted = {tuple(row.telemetry.counted) for row in known if row.telemetry}
    mean = sum(float(row.energy_per_item_j or 0.0) for row in known) / len(known)
    return mean, min(counted)
