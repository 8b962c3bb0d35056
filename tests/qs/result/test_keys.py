"""A case in words, by its scenario's settings."""

from __future__ import annotations

import pytest

from qs.result.keys import key_of, words_of
from qs.result.row import Mode, Row
from qs.result.scenario_entry import ScenarioEntry
from qs.result.verdict import Verdict

ROW = Row(
    batch_size=1,
    items_per_s=1.0,
    mean_ms=1.0,
    p99_ms=None,
    mode=Mode.QS,
    verdict=Verdict.VALID,
    reasons=[],
    warnings=[],
)


@pytest.mark.parametrize(
    ("scenario", "settings", "words"),
    [
        ("Gamma", {"target_qps": 30.0, "burstiness": 0.5}, "Gamma 30/s burstiness 0.5"),
        ("Sessions", {"users": 8, "think_time_s": 2.0}, "Sessions of 8 users think time 2 s"),
        (
            "Sessions",
            {"sessions_per_s": 0.5, "arrivals": "gamma", "burstiness": 0.1},
            "Sessions 0.5/s burstiness 0.1",
        ),
    ],
)
def test_loads_are_told_apart_by_what_shapes_them(scenario, settings, words):
    entry = ScenarioEntry(**settings, duration_s=5.0, seed=3)
    found = ROW.changed(scenario=scenario, settings=entry)
    assert words_of(found)["Scenario"] == words
    same = found.changed(settings=entry.changed(seed=4, duration_s=9.0))
    assert key_of(same) == key_of(found)
    other = found.changed(settings=entry.changed(think_time_s=3.0, burstiness=0.7))
    assert key_of(other) != key_of(found)
