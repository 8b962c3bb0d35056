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


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_cell_is_cut(width):
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=width).print(table(STORY, width))
    text = stream.getvalue()
    assert "…" not in text
    for cell in ("16,384", "123,457", "120", "1,234", "2", "INVALID"):
        assert cell in text
    assert ("97 of 300" in text) == (width == 120)
    assert ("p99.9 ms" in text) == (width >= 100)


@pytest.mark.parametrize("width", [80, 140])
def test_an_open_loop_shows_what_was_offered_and_served(width):
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
    Console(file=stream, width=width).print(table(story, width))
    text = stream.getvalue()
    assert "…" not in text
    for cell in ("offered/s", "served/s", "40,000", "20,457", "10 %", "12 s", "OVERLOADED"):
        assert cell in text


def test_cases_of_one_batch_size_are_told_apart():
    rows = [{"BS": 8, "Clients": clients, "QPS": 1.0} for clients in (1, 2)]
    story = story_of(made.small(rows))
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=80).print(table(story, 80))
    assert "BS 8, 1 client" in stream.getvalue() and "BS 8, 2 clients" in stream.getvalue()
    assert "all: BS 8, closed loop" in lines(story)


def test_everything_a_reader_must_know_is_said_the_most_important_first():
    stream = io.StringIO()
    print_story(STORY, "r.json", stream)
    said = stream.getvalue()
    wanted = (
        "verdict: INVALID (interrupted)",
        "  compile: odd\n  BS 16384: 2 of 99 requests failed",
        "throughput 123,457 items/s, p50 120 ms, p99 1,234 ms",
        "97 of 300",
        "warning: the file is odd",
        "warning: BS 16384: other programs used 1.0 CPUs",
        "accuracy not measured: no labels",
        "agreement with fp32 not measured: the reference run: killed",
        "samples: generated, seed 0; fake_data is true",
        "measured: 2026-11-29 14:50:03 UTC",
        "report: r.json",
    )
    places = [said.index(text) for text in wanted]
    assert places == sorted(places)


def test_a_page_is_linked_on_a_terminal_only(tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    page = tmp_path / "report.html"
    for stream, linked in ((io.StringIO(), False), (Terminal(), True)):
        print_story(STORY, None, stream, page=page)
        said = stream.getvalue()
        assert (page.as_uri() in said) == linked and "report.html" in said


def test_many_first_inferences_are_one_line():
    row = {"First Inference": 1.0, "QPS": 1.0}
    rows = [row | {"BS": size, "First Inference": float(size)} for size in range(1, 11)]
    said = lines(story_of(made.small(rows, Kind="load")))
    assert "first inference 1 to 10 ms" in said


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
    for part in ("+-", "for throughput: ", "answered/s", "verdict: "):
        assert part in text
