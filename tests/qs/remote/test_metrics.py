"""A server's page of metrics: what is kept of it, and what a page that means no good costs."""

from __future__ import annotations

import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Summary,
    generate_latest,
)

from qs.remote.metrics import MOST_LINES, MOST_SERIES, Page, Series, Wanted, parsed
from qs.remote.sampler import Readings
from qs.remote.server_side import metric_entries

TRITON = """\
# HELP nv_inference_request_success Number of successful inference requests
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="m",version="1"} 12
nv_inference_request_success{model="other",version="1"} 900
# TYPE nv_gpu_utilization gauge
nv_gpu_utilization{gpu_uuid="GPU-1"} 0.5
# TYPE unwanted gauge
unwanted 3
"""


def kept(text: str, *names: str, model: str = "") -> dict[str, tuple[float, ...]]:
    page = parsed(text, Wanted(names or Wanted().names, model))
    return {
        f"{series.name}{dict(series.labels) or ''}": values
        for series, values in page.values.items()
    }


def test_well_known_names_of_our_model():
    assert kept(TRITON, model="m") == {
        "nv_inference_request_success{'model': 'm', 'version': '1'}": (12.0,),
        "nv_gpu_utilization{'gpu_uuid': 'GPU-1'}": (0.5,),
    }


def test_a_family_that_does_not_know_our_model_is_kept_whole():
    assert len(kept(TRITON, model="unheard of")) == 3


def test_names_are_globs_and_those_that_are_missing_are_told():
    page = parsed(TRITON, Wanted(("unw*", "nv_gpu_utilisation")))
    assert [series.name for series in page.values] == ["unwanted"]
    assert page.missing == ("nv_gpu_utilisation",)
    assert "nv_gpu_utilization" in page.has


def test_what_a_library_writes():
    registry = CollectorRegistry()
    Counter("requests", "", ["model_name"], registry=registry).labels("m").inc(5)
    Gauge("queue", "", registry=registry).set(3)
    histogram = Histogram("seconds", "", registry=registry)
    for value in (0.25, 0.5):
        histogram.observe(value)
    Summary("bytes", "", registry=registry).observe(7)
    text = generate_latest(registry).decode()
    assert kept(text, "*") == {
        "requests_total{'model_name': 'm'}": (5.0,),
        "queue": (3.0,),
        "seconds": (2.0, 0.75),
        "bytes": (1.0, 7.0),
    }
    assert kept(text, "requests") == kept(text, "requests_total")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00\xff\n",
        "{} 3\n",
        'm{a="b} 3\n',
        "m NaN\nm +Inf\n",
        "m\n",
        "# TYPE m\nm{\n",
        "# TYPE m nonsense\nm x\n",
        'm{a="' + "x" * 100_000 + '"} 1\n',
    ],
)
def test_a_line_that_is_none_costs_itself_alone(text):
    good = "# TYPE good gauge\ngood 1\n"
    assert kept(text + good, "*") == {"good": (1.0,)}


def test_a_flood_is_bounded_and_told():
    lines = "".join(f"m{number} {number}\n" for number in range(2 * MOST_LINES))
    page = parsed(lines, Wanted(("*",)))
    assert len(page.values) == MOST_SERIES
    assert page.left_out == MOST_LINES - MOST_SERIES
    assert page.faults == (f"{MOST_LINES} more lines than the {MOST_LINES} that are read",)


def entry(kind: str, *values: tuple[float, ...]):
    """Of readings a second apart; () where a page lacks the series."""
    series = Series("m", (("gpu", "0"),), kind)
    readings = Readings[Page](
        at_ns=[int(1e9) * at for at in range(len(values))],
        values=[Page({series: each} if each else {}) for each in values],
    )
    (found,) = metric_entries(readings, 0)
    assert (found.name, found.labels, found.kind) == ("m", {"gpu": "0"}, kind)
    return found


def test_gauges_are_as_they_are():
    found = entry("gauge", (1.0,), (4.0,), (), (1.0,))
    assert (found.mean, found.least, found.most, found.first, found.last) == (2, 1, 4, 1, 1)
    assert (found.at_s, found.values) == ([0, 1, 3], [1, 4, 1])


def test_counters_are_rates_and_a_restart_counts_from_0():
    found = entry("counter", (100.0,), (110.0,), (4.0,), (10.0,))
    assert (found.mean, found.least, found.most) == (pytest.approx(20 / 3, 1e-3), 4, 10)
    assert (found.values, found.resets) == ([10, 4, 6], 1)
    assert (found.first, found.last) == (100, 10)


def test_histograms_are_means_of_what_was_observed():
    found = entry("histogram", (10.0, 5.0), (12.0, 9.0), (12.0, 9.0), (16.0, 10.0))
    assert (found.mean, found.per_s) == (pytest.approx(5 / 6, 1e-3), 2)
    assert (found.least, found.most) == (0.25, 2)


def test_a_single_reading_has_no_rate():
    found = entry("counter", (3.0,))
    assert found.mean is None and found.values == []
