"""Power, energy and utilisation of a measured case, as its row has them: what qs.telemetry read of
the machine, and what the backend stated.

    energy per item = energy of the measured phase / (completed queries x items a query)

Failed queries cost energy and are no items. Idle power is in it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from qs.base.storable import text
from qs.engine import RunResult
from qs.evaluate.testbed import Testbed
from qs.result.row import Row
from qs.result.telemetry_entry import (
    ReadingEntry,
    SeriesEntry,
    TelemetryEntry,
    UnreadableEntry,
)
from qs.telemetry.series import Phase
from qs.telemetry.stated import read_stated
from qs.telemetry.summary import Summary

BENCHMARK = "benchmark call"
OF_CALL = (
    "over the whole benchmark call, with the loading and warming up that the backend does in it; "
    "so no energy per item"
)
DIGITS = 6  # of what is measured far less exactly


class Beside:
    """What is read of the machine beside one case; nothing, with --telemetry off."""

    def __init__(self, testbed: Testbed):
        self._watched = None if testbed.telemetry is None else testbed.telemetry.watch()
        self._summary: Summary | None = None

    @property
    def context(self) -> AbstractContextManager[object]:
        """To be entered just before the case, and left when it has ended."""
        return nullcontext() if self._watched is None else self._watched

    def ended(self, result: RunResult | None, folder: str | None) -> None:
        """Take the readings: of the measured phase of a run, or of all that was watched."""
        if self._watched is None:
            return
        phase = None if result is None else Phase(result.start_ns, result.wall_s)
        stated = read_stated(Path(folder)) if folder else None
        self._summary = self._watched.summary(phase, [stated] if stated else [])

    def row(self, row: Row, phase: str = "measured") -> Row:
        """The row with its power, energy and utilisation."""
        found = self._summary
        if found is None:
            return row
        items = (row.items_per_s or 0.0) * (row.wall_s or 0.0) if phase != BENCHMARK else 0.0
        energy_j = found.energy_j
        return row.changed(
            mean_power_w=_short(found.mean_power_w),
            peak_power_w=_short(found.peak_power_w),
            energy_per_item_j=_short(energy_j / items) if energy_j is not None and items else None,
            cpu_utilisation_percent=_short(found.cpu_percent),
            device_utilisation_percent=_short(found.device_percent),
            telemetry=entry_of(found, phase),
        )


def entry_of(found: Summary, phase: str) -> TelemetryEntry:
    """The summary as the result file has it."""
    return TelemetryEntry(
        phase=phase,
        length_s=found.length_s,
        window_s=found.window_s,
        energy_j=_short(found.energy_j),
        counted=list(map(text, found.counted)),
        readings=[
            ReadingEntry(
                source=each.source,
                name=text(each.name),
                unit=text(each.unit),
                kind="counter" if each.counter else "gauge",
                counted=each.counted,
                mean=_short(each.mean),
                peak=_short(each.peak),
                energy_j=_short(each.energy_j),
                readings=each.readings,
            )
            for each in found.readings
        ],
        series=_series(found),
        not_readable=[
            UnreadableEntry(what=text(each.what), why=text(each.why)) for each in found.unreadable
        ],
        sampler_cpu_s=found.cost_s,
        sampler_share_of_core=found.cost_share,
        backend_cpu_s=found.stated_cost_s,
        note=OF_CALL if phase == BENCHMARK else None,
    )


def _series(found: Summary) -> SeriesEntry | None:
    if not found.points:
        return None

    def column(name: str) -> list[float | None] | None:
        values = [_short(getattr(point, name)) for point in found.points]
        return None if all(value is None for value in values) else values

    return SeriesEntry(
        at_s=[round(point.at_s, 3) for point in found.points],
        power_w=column("power_w"),
        cpu_percent=column("cpu_percent"),
        device_percent=column("device_percent"),
    )


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")
