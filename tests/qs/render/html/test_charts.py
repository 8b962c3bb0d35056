"""The points and marks of the charts, without a browser."""

from __future__ import annotations

import numpy as np
import pytest

from qs.engine import Histogram
from qs.render.html import by_setting, charts
from qs.render.html.curves import percentile_points
from qs.result.story import NamedCase
from tests.qs.result import made


def log(values_ms: list[float]) -> str:
    """The log of a run of one interval with these response times."""
    histogram = Histogram()
    histogram.record((np.array(values_ms) * 1e6).astype(np.int64))
    return f"0.000,1.000,{max(values_ms):.3f},{histogram.to_hdr().encode().decode()}\n"


def curve(values_ms: list[float]):
    case = NamedCase("BS 1", made.small([{"Histogram": "x"}]).performance[0])
    return percentile_points([case], lambda row: log(values_ms))


def test_six_samples_are_six_steps_that_end_with_the_last_sample():
    points = curve([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    steps = [(round(each["x"], 2), round(each["ms"])) for each in points if not each["few"]]
    # 0 %, 1/6, 2/6 ...; with six samples what lies above 60.7 % cannot be told.
    assert steps == [(1.0, 1), (1.2, 2), (1.5, 3), (2.0, 4), (2.54, 4)]
    unsure = [(round(each["x"], 2), round(each["ms"])) for each in points if each["few"]]
    assert unsure == [(2.54, 4), (3.0, 5), (6.0, 6), (6.0, 6)]


def test_p99_of_300_samples_can_be_told_and_of_298_cannot():
    for count, told in ((300, True), (298, False)):
        sure = max(each["x"] for each in curve([*range(1, count + 1)]) if not each["few"])
        assert (sure >= 100.0) == told


def test_the_axis_ends_where_the_samples_end():
    spec = charts.latency_by_percentile(curve([1.0] * 50 + [2.0] * 50))
    line = next(each for each in spec["layer"] if each["mark"]["type"] == "line")
    assert line["encoding"]["x"]["scale"]["domain"] == [1, 100.0]
    assert line["mark"]["interpolate"] == "step-after"
    assert line["encoding"]["color"]["legend"] is None  # one case needs none


def rows(count: int, **more):
    each = {"QPS": 800.0, "Queries Per Second": 100.0, "P99 Latency": 2.0, "BS": 8} | more
    return made.small([each | {"BS": 2**at, "QPS": 800.0 + at} for at in range(count)])


def named(result):
    return [NamedCase(f"BS {row.batch_size}", row) for row in result.performance]


def test_error_bars_are_the_intervals_in_the_figures_unit():
    confidence = {
        "Level": 0.95,
        "Queries Per Second": {"Half Width": 10.0},
        "P99 Latency": {"Half Width": None, "Why": "too short"},
    }
    rates, tails = by_setting.setting_points(named(rows(1, Confidence=confidence)))
    assert (rates["low"], rates["value"], rates["high"]) == pytest.approx((720, 800, 880))
    assert tails["low"] == tails["value"] == tails["high"] == 2.0


@pytest.mark.parametrize(
    ("half_width", "ends", "sure"),
    [(0.5, (1.5, 2.5), "± 25 %"), (30.0, (0.25, 32.0), "± over 100 %"), (None, (2.0, 2.0), "n/a")],
)
def test_an_error_bar_below_zero_ends_at_the_least_that_was_measured(half_width, ends, sure):
    confidence = {"Level": 0.95, "P99 Latency": {"Half Width": half_width}}
    found = by_setting.setting_points(
        named(rows(1, Confidence=confidence, **{"Min Latency": 0.25}))
    )
    assert ((found[1]["low"], found[1]["high"]), found[1]["sure"]) == (ends, sure)


def test_a_scatter_needs_six_settings():
    assert by_setting.scatter_points(named(rows(5))) == []
    points = by_setting.scatter_points(named(rows(6)))
    assert [point["case"] for point in points if point["best"]] == ["BS 32"]


def test_the_bounds_of_a_search_are_drawn():
    points = [{"rate": rate, "figure": "p99", "ms": 3.0, "verdict": "holds"} for rate in (1, 2)]
    spec = charts.latency_by_rate(points, 1.5, [{"ms": 5.0, "name": "p99<=5ms"}], 2.0)
    texts = [
        value.get("name")
        for layer in spec["layer"]
        if layer["mark"]["type"] == "text"
        for value in layer["data"]["values"]
    ]
    assert texts == ["holds 1.5/s", "fails 2/s", "p99<=5ms"]
