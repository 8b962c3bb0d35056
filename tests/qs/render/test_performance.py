"""What people read of the cases: units, digits, tiles, and the line on the answers."""

from __future__ import annotations

import pytest

from qs.base.private import at_home, private
from qs.render.answers import answers_line
from qs.render.performance import alike, columns_of, in_one_unit
from qs.render.remedy import remedy
from qs.render.tiles import tiles_of
from qs.result.story import story_of
from tests.qs.result import made


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([40.383, 186.0, None], ["40.4", "186.0", "n/a"]),
        ([0.0404, 21.5], ["0.040", "21.500"]),
        ([3184.9, 102043.2], ["3,185", "102,043"]),
        ([0.0, 2.0], ["0.00", "2.00"]),
        ([None], ["n/a"]),
        ([], []),
        ([float("nan"), 1.0], ["NaN", "1.00"]),
    ],
)
def test_a_column_has_one_number_of_decimals(values, texts):
    assert alike(values) == texts


def test_times_are_in_us_where_all_are_below_a_millisecond():
    assert in_one_unit([0.0404, 0.186, None]) == ("us", ["40.4", "186.0", "n/a"])
    assert in_one_unit([0.0404, 1.0])[0] == "ms"
    assert in_one_unit([None])[0] == "ms"


OPEN = {
    "BS": 64,
    "QPS": 6400.0,
    "Queries Per Second": 100.0,
    "Offered Queries Per Second": 200.0,
    "P99 Latency": 900.0,
    "Scenario": "Poisson",
    "Service": {"p99_ns": 5_000_000},
    "Wall Time": 5.0,
}


def headings(rows):
    return [each.heading for each in columns_of(story_of(made.small(rows)).cases)]


def test_an_open_loop_says_what_was_offered():
    said = headings([OPEN])
    assert said[:2] == ["offered/s", "served/s"] and "service p99 ms" in said
    assert "offered/s" not in headings([{"QPS": 1.0}])


def test_tiles_of_an_open_loop():
    of, tiles = tiles_of(story_of(made.small([OPEN])))
    assert of == "" and [str(tile) for tile in tiles] == [
        "offered 200 queries/s",
        "served 100 queries/s (50 % of it)",
        "response p99 900 ms",
        "service p99 5 ms",
    ]


def test_tiles_are_of_one_case_the_one_with_the_most_throughput_that_counts():
    rows = [
        {"BS": 1, "QPS": 50.0, "P50 Latency": 0.5, "P99 Latency": 0.9},
        {"BS": 8, "QPS": 90.0, "P50 Latency": 2.0, "P99 Latency": 5.0},
        {"BS": 64, "QPS": 999.0, "P99 Latency": 5.0, "Verdict": "INVALID"},
    ]
    of, tiles = tiles_of(story_of(made.small(rows)))
    assert of == "BS 8"
    assert [str(tile) for tile in tiles] == ["throughput 90 items/s", "p50 2 ms", "p99 5 ms"]


ANSWERS = {
    "Data Percent": 100,
    "Top-1": 0.98667,
    "Known Metrics": {"Top-1": 0.98667},
    "Confidence Intervals": {"Top-1": [0.9712, 0.9939]},
    "Cosine Similarity": 0.99999999999,
    "Max Diff": 3.81e-6,
    "Numeric": {"outputs": {"logits": {"failed": None}}},
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {},
            "Top-1 0.987 [0.971, 0.994], expected 0.9867; agrees with fp32 (cosine 0.9999999, "
            "largest difference 3.81e-6)",
        ),
        (
            {"Cosine Similarity": 1.0, "Known Metrics": {}, "Confidence Intervals": {}},
            "Top-1 0.987; agrees with fp32 (cosine 1.0000000, largest difference 3.81e-6)",
        ),
        (
            {"Cosine Similarity": 0.98, "Max Diff": 0.5},
            "Top-1 0.987 [0.971, 0.994], expected 0.9867; against fp32 (cosine 0.9800000, "
            "largest difference 0.5)",
        ),
        (
            {"Numeric": {"outputs": {"logits": {"failed": "NaN"}}}},
            "Top-1 0.987 [0.971, 0.994], expected 0.9867; does not agree with fp32: NaN",
        ),
        (
            {"Not Measured": "no labels", "Numeric": None},
            "accuracy not measured: no labels",
        ),
    ],
)
def test_one_line_says_whether_the_answers_are_right(changes, line):
    story = story_of(made.small([], Accuracy=ANSWERS | changes))
    assert answers_line(story.answers) == line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the file /home/ann/models/a.onnx", "the file ~/models/a.onnx"),
        ("'/root/x', /Users/bob", "'~/x', ~"),
        ("/srv/data/shared/model_zoo/digits/a.onnx", "…/model_zoo/digits/a.onnx"),
        (
            "http://127.0.0.1/a/b/c/d/e/f and a/home/ann",
            "http://127.0.0.1/a/b/c/d/e/f and a/home/ann",
        ),
        ("/usr/bin/python3 and 1/2/3/4/5/6", "/usr/bin/python3 and 1/2/3/4/5/6"),
    ],
)
def test_what_is_passed_on_names_no_home(text, said):
    assert private(text) == said


def test_a_command_keeps_its_files():
    assert at_home("qs load /home/ann/a.onnx /srv/a/b/c/d/e.onnx") == (
        "qs load ~/a.onnx /srv/a/b/c/d/e.onnx"
    )


COMMAND = ["/x/bin/qs", "load", "m.onnx", "--duration", "1s", "--rate=5", "--iterations", "9"]


@pytest.mark.parametrize(
    ("cure", "command"),
    [
        ("--duration 30s", "qs load m.onnx --rate=5 --duration 30s"),
        ("--duration 30s for the case", "qs load m.onnx --rate=5 --duration 30s"),
        (
            "--affinity (a core of its own) and --spin always",
            f"{' '.join(['qs', *COMMAND[1:]])} --affinity",
        ),
        ("--spin always; Service in the result", f"{' '.join(['qs', *COMMAND[1:]])} --spin always"),
        ("qs doctor shows what slows it", "qs doctor"),
        ("stop other programs (qs doctor shows them)", ""),
        ("a lower --rate, or more --clients", ""),
        ("", ""),
    ],
)
def test_a_cure_that_can_be_typed_is_a_whole_command(cure, command):
    assert remedy(cure, COMMAND) == command
