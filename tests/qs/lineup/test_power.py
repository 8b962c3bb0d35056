"""Power and energy of several turns, as those of one measurement."""

from __future__ import annotations

import pytest

from qs.lineup.power import power_of
from qs.result.row import Mode, Row
from qs.result.telemetry_entry import ReadingEntry, SeriesEntry, TelemetryEntry
from qs.result.verdict import Verdict


def turn(seconds: float, watts: float | None, items_per_s: float = 10.0) -> Row:
    joules = None if watts is None else watts * seconds
    return Row(
        batch_size=1,
        items_per_s=items_per_s,
        mean_ms=None,
        p99_ms=None,
        mode=Mode.QS,
        verdict=Verdict.VALID,
        reasons=[],
        warnings=[],
        wall_s=seconds,
        mean_power_w=watts,
        peak_power_w=watts,
        telemetry=TelemetryEntry(
            length_s=seconds,
            energy_j=joules,
            readings=[
                ReadingEntry(
                    source="RAPL",
                    name="package",
                    mean=watts,
                    peak=watts,
                    energy_j=joules,
                    readings=2,
                )
            ],
            series=SeriesEntry(at_s=[0.5], power_w=[watts]),
        ),
    )


def test_means_go_by_time_and_energy_by_items():
    found = power_of([turn(1.0, 10.0), turn(3.0, 20.0)])
    assert found["mean_power_w"] == pytest.approx(17.5)
    assert found["peak_power_w"] == 20.0
    assert found["energy_per_item_j"] == pytest.approx(70.0 / 40.0)
    entry = found["telemetry"]
    assert (entry.length_s, entry.energy_j) == (4.0, 70.0)
    (reading,) = entry.readings
    assert (reading.mean, reading.peak, reading.energy_j, reading.readings) == (15.0, 20.0, 70.0, 4)
    assert entry.series.at_s == [0.5, 1.5] and entry.series.power_w == [10.0, 20.0]


def test_what_was_not_read_in_one_turn_is_unknown_of_all():
    found = power_of([turn(1.0, 10.0), turn(1.0, None)])
    assert found["mean_power_w"] is found["energy_per_item_j"] is None
    assert found["peak_power_w"] == 10.0
    assert found["telemetry"].series.power_w == [10.0, None]


def test_nothing_is_made_up_without_telemetry():
    assert power_of([turn(1.0, 10.0).changed(telemetry=None)]) == {}
