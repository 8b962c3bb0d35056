"""The summary is made of the result alone and stays readable at 80 columns."""

from __future__ import annotations

import io

import pytest

from qs.render.terminal import lines, print_story, table
from qs.result.story import story_of
from tests.qs.result import made

ROW = {
    "BS": 16384,
    "QPS": 123456.7,
    "AVG Latency": 123.4,
    "P50 Latency": 120.1,
    "P90 Latency": 130.0,
    "P99 Latency": 1234.5,
    "P99.9 Latency": None,
    "Max Latency": 2345.6,
    "Clients": 3,
    "Completed": 97,
    "Planned": 300,
    "Errors": 2,
    "Verdict": "INVALID",
    "Reasons": ["2 of 99 requests failed"],
    "Warnings": ["other programs used 1.0 CPUs"],
}
STORY = story_of(
    made.small(
        [ROW],
        Backend="ACME[bold]",
        Status="interrupted",
        Verdict="INVALID",
        Reasons=["compile: odd", "BS 16384: 2 of 99 requests failed"],
        Warnings=["the file is odd"],
        Accuracy={
            "Data Percent": 100,
            "Not Measured": "no labels",
            "Numeric": {"Not Measured": "the reference run: killed"},
        },
        Samples={"kind": "generated", "seed": 0, "why": "fake_data is true"},
    )
)


@pytest.mark.parametrize("wide", [True, False])
def test_no_cell_is_cut(wide):
    from rich.console import Console

    width = 130 if wide else 80
    stream = io.StringIO()
    Console(file=stream, width=width).print(table(STORY, wide))
    text = stream.getvalue()
    assert "…" not in text
    for cell in ("16,384", "123,457", "120.1", "1,234", "2,346", "INVALID", "± ", "measured"):
        assert cell in text
    assert ("p99.9 ms" in text) == wide == ("97 of 300" in text)


@pytest.mark.parametrize("wide", [True, False])
def test_an_open_loop_shows_what_was_offered_and_served(wide):
    from rich.console import Console

    row = ROW | {
        "Scenario": "Poisson",
        "Verdict": "OVERLOADED",
        "Offered Queries Per Second": 40_000.0,
        "Queries Per Second": 20_457.0,
        "Wall Time": 12.3,
        "Confidence": {"Level": 0.95, "P99 Latency": {"Half Width": 123.45, "Batches": 12}},
    }
    stream = io.StringIO()
    story = story_of(made.small([row], Verdict="OVERLOADED"))
    Console(file=stream, width=130 if wide else 80).print(table(story, wide))
    text = stream.getvalue()
    assert "…" not in text
    for cell in ("offered/s", "served/s", "40,000", "20,457", "10 %", "12 s", "OVERLOADED"):
        assert cell in text
    assert ("workers" in text) == wide and "clients" not in text


def test_everything_a_reader_must_know_is_said():
    said = "\n".join(lines(STORY))
    for text in (
        "accuracy not measured: no labels",
        "numeric agreement not measured: the reference run: killed",
        "samples: generated, seed 0; fake_data is true",
        "warning: the file is odd",
        "warning: BS 16384: other programs used 1.0 CPUs",
        "verdict: INVALID (interrupted)",
        "  compile: odd\n  BS 16384: 2 of 99 requests failed",
    ):
        assert text in said


def test_a_run_that_measured_nothing_has_a_summary_too():
    failed = {"Status": "failed", "Verdict": "INVALID", "Reasons": ["compile: no"]}
    stream = io.StringIO()
    print_story(story_of(made.small([], **failed)), "r.json", stream)
    assert stream.getvalue() == "verdict: INVALID (failed)\n  compile: no\nreport: r.json\n"


def test_brackets_of_a_vendor_are_not_markup():
    stream = io.StringIO()
    print_story(STORY, None, stream)
    assert "acme" not in stream.getvalue() and "ACME[bold]" in stream.getvalue()


def test_the_backends_own_numbers_stand_beside_ours():
    vendor = {"QPS": 1270.3, "AVG Latency": 2.0, "P99 Latency": None}
    row = ROW | {"Vendor": vendor, "Difference Percent": {"QPS": 25.0, "P99 Latency": None}}
    assert "audit: BS 16384: the backend's own QPS 1,270 (+25.0 %)" in lines(
        story_of(made.small([row]))
    )


def test_a_sweep_shows_its_settings_and_its_limit():
    import json

    saved = json.loads((made.REPORTS / "sweep" / "sweep-fp32.json").read_text())
    stream = io.StringIO()
    print_story(made.told(saved), None, stream)
    text = stream.getvalue()
    for part in ("+- %", "for throughput: ", "answered/s", "verdict: "):
        assert part in text
