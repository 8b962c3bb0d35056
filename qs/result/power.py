"""Power, energy and utilisation of a result in words: one line for each, or why it is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qs.base.words import number
from qs.result.row import Row
from qs.result.telemetry_entry import TelemetryEntry

POWER, USE = "power", "utilisation"
NO_METER = "this system shows no meter"
MOST_NAMED = 4
DIGITS = 3
MJ_PER_J = 1e3


def power_facts(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """(name, text) for what was read beside these rows; nothing where nobody asked."""
    asked = [row for row in rows if row.telemetry is not None]
    known = [row for row in asked if row.mean_power_w is not None]
    if known:
        yield POWER, _drawn(known)
    elif asked:
        yield POWER, f"not readable: {_listed(why_not(asked) or [NO_METER])}"
    used = [
        f"{name} {_range(values)} % busy"
        for name, values in (
            ("CPUs", [row.cpu_utilisation_percent for row in asked]),
            ("accelerators", [row.device_utilisation_percent for row in asked]),
        )
        if any(value is not None for value in values)
    ]
    if used:
        yield USE, ", ".join(used)


def why_not(rows: Sequence[Row]) -> list[str]:
    """Everything that could not be read, and why, each once."""
    found = dict.fromkeys(
        f"{each.what}: {each.why}"
        for row in rows
        if row.telemetry is not None
        for each in row.telemetry.not_readable
    )
    return list(found)


def joules(energy_j: float) -> tuple[str, str]:
    """An energy and its unit: 1.27 J, 340 mJ, 12.5 uJ."""
    for factor, unit in ((1.0, "J"), (MJ_PER_J, "mJ"), (MJ_PER_J**2, "uJ")):
        if energy_j * factor >= 1.0 or unit == "uJ":
            return number(energy_j * factor, DIGITS), unit
    raise AssertionError


def sum_of(telemetry: TelemetryEntry) -> str:
    """What the power is the sum of."""
    named = telemetry.counted[:MOST_NAMED]
    more = len(telemetry.counted) - len(named)
    return " + ".join(named) + (f" and {more} more" if more else "")


def _drawn(rows: Sequence[Row]) -> str:
    mean, peak = (
        _range([getattr(row, name) for row in rows]) for name in ("mean_power_w", "peak_power_w")
    )
    said = f"{mean} W on average, at most {peak} W"
    costs = [row.energy_per_item_j for row in rows if row.energy_per_item_j]
    if costs:
        ends = dict.fromkeys(" ".join(joules(float(each))) for each in (min(costs), max(costs)))
        said += f", {' to '.join(ends)} an item"
    sums = dict.fromkeys(sum_of(row.telemetry) for row in rows if row.telemetry)
    said += f"; of {', or '.join(sums)}, idle power included"
    notes = dict.fromkeys(row.telemetry.note for row in rows if row.telemetry)
    return "; ".join([said, *(note for note in notes if note)])


def _range(values: Sequence[float | int | None]) -> str:
    known = [float(value) for value in values if value is not None]
    ends = dict.fromkeys(number(each, DIGITS) for each in (min(known), max(known)))
    return " to ".join(ends)


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - MOST_NAMED
    return "; ".join(texts[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
