"""Power, energy and utilisation of the turns of a case, as those of one measurement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from qs.result.row import Row
from qs.result.telemetry_entry import ReadingEntry, SeriesEntry, TelemetryEntry

_COLUMNS = ("power_w", "cpu_percent", "device_percent")


def power_of(turns: Sequence[Row]) -> dict[str, Any]:
    """What the row of all turns states: means over their time, the highest peak, all of the energy
    over all items.
    """
    known = [row for row in turns if row.telemetry is not None]
    if not known:
        return {}
    items = sum((row.items_per_s or 0.0) * (row.wall_s or 0.0) for row in known)
    energies = [row.telemetry.energy_j for row in known if row.telemetry]
    energy_j = _sum(energies)
    peaks = [row.peak_power_w for row in known if row.peak_power_w is not None]
    return {
        "mean_power_w": _mean((row.mean_power_w, row.wall_s) for row in known),
        "peak_power_w": max(peaks, default=None),
        "energy_per_item_j": energy_j / items if energy_j is not None and items else None,
        "cpu_utilisation_percent": _mean(
            (row.cpu_utilisation_percent, row.wall_s) for row in known
        ),
        "device_utilisation_percent": _mean(
            (row.device_utilisation_percent, row.wall_s) for row in known
        ),
        "telemetry": _entry(known, energy_j),
    }


def _entry(turns: Sequence[Row], energy_j: float | None) -> TelemetryEntry:
    entries = [row.telemetry for row in turns if row.telemetry is not None]
    last = entries[-1]
    readings: dict[tuple[str, str], list[ReadingEntry]] = {}
    for entry in entries:
        for each in entry.readings:
            readings.setdefault((each.source, each.name), []).append(each)
    return last.changed(
        length_s=_sum([each.length_s for each in entries]),
        energy_j=energy_j,
        readings=[_reading(found) for found in readings.values()],
        series=_series(turns),
        sampler_cpu_s=_sum([each.sampler_cpu_s for each in entries]),
        sampler_share_of_core=_mean(
            (each.sampler_share_of_core, each.length_s) for each in entries
        ),
        backend_cpu_s=_sum([each.backend_cpu_s for each in entries]),
    )


def _reading(found: Sequence[ReadingEntry]) -> ReadingEntry:
    peaks = [each.peak for each in found if each.peak is not None]
    return found[0].changed(
        mean=_mean((each.mean, each.readings) for each in found),
        peak=max(peaks, default=None),
        energy_j=_sum([each.energy_j for each in found]),
        readings=_sum([each.readings for each in found]),
    )


def _series(turns: Sequence[Row]) -> SeriesEntry | None:
    """One after the other, without the pauses between them."""
    at_s: list[float] = []
    columns: dict[str, list[float | None]] = {name: [] for name in _COLUMNS}
    begun_s = 0.0
    for row in turns:
        series = row.telemetry.series if row.telemetry else None
        if series is not None:
            at_s += [round(begun_s + each, 3) for each in series.at_s]
            for name, values in columns.items():
                values += getattr(series, name) or [None] * len(series.at_s)
        begun_s += row.wall_s or 0.0
    if not at_s:
        return None
    known = {name: values for name, values in columns.items() if any(v is not None for v in values)}
    return SeriesEntry(at_s=at_s, **known)


def _mean(found: Iterable[tuple[float | None, float | None]]) -> float | None:
    """Of values by their weights; None if one of them is unknown."""
    pairs = list(found)
    if any(value is None or not weight for value, weight in pairs):
        return None
    total = sum(weight or 0.0 for _, weight in pairs)
    return sum((value or 0.0) * (weight or 0.0) for value, weight in pairs) / total


def _sum(values: Sequence[Any]) -> Any:
    return None if None in values else sum(values)
