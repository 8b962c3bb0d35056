"""A sweep's charts: which axes are drawn, and how."""

from __future__ import annotations

import pytest

from qs.render.html.sweep_charts import sweep_charts
from qs.result.sweep import SweepEntry, SweepLine, SweepSetting


def line(name: str, qps: float | None = 100.0, p99: float | None = 2.0, **setting) -> SweepLine:
    return SweepLine(
        name=name,
        setting=SweepSetting(**setting),
        verdict="VALID" if qps else "INVALID",
        items_per_s=qps,
        p99_ms=p99,
        items_per_s_half_width=5.0,
    )


def drawn(*lines: SweepLine) -> dict:
    return sweep_charts(SweepEntry(table=list(lines)))


def test_two_axes_are_a_map_of_each_figure():
    found = drawn(
        *(
            line(f"bs{b}-c{c}", 10.0 * b * c, 1.0 * b, batch_size=b, clients=c, pool="thread")
            for b in (1, 8)
            for c in (1, 2)
        )
    )["settings"]
    assert [each["title"] for each in found["vconcat"]] == [
        "items/s: darker is better",
        "p99 (ms): darker is better",
    ]
    assert [point["qps_words"] for point in found["data"]["values"]] == ["10", "20", "80", "160"]
    assert {(point["x"], point["y"]) for point in found["data"]["values"]} == {
        (1, 1),
        (1, 2),
        (8, 1),
        (8, 2),
    }


def test_a_third_axis_has_a_map_for_each_of_its_values():
    lines = [
        line(f"bs{b}-c{c}-i{i}", batch_size=b, clients=c, instances=i)
        for b in (1, 8)
        for c in (2, 4)
        for i in (1, 2)
    ]
    titles = [each["title"] for each in drawn(*lines)["settings"]["vconcat"]]
    assert len(titles) == 4 and "items/s, instances 2: darker is better" in titles


def test_one_axis_is_bars_with_intervals():
    found = drawn(
        line("bs1-c1", 90.0, batch_size=1, clients=1),
        line("bs1-c2", 110.0, None, batch_size=1, clients=2),
    )["settings"]
    bars, _ = found["vconcat"]
    assert bars["encoding"]["x"]["title"] == "clients"
    assert [(point["low"], point["high"]) for point in found["data"]["values"]] == [
        (85.0, 95.0),
        (105.0, 115.0),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (line("bs1", batch_size=1),),
        (line("bs1", batch_size=1), line("bs2", None, None, batch_size=2)),
        tuple(line(f"bs{size}", batch_size=size) for size in range(1, 201)),
    ],
    ids=["nothing", "one setting", "one that was measured", "more bars than have room"],
)
def test_what_no_chart_would_show_has_none(lines):
    assert drawn(*lines) == {}
