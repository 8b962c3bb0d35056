"""A row's way into a file and back, and the columns that tables are made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from qs.result.columns import BY_KEY, BY_SHORT, COLUMNS, columns
from qs.result.result import Accuracy, Result
from qs.result.row import Mode, Outcome, Row
from qs.result.verdict import DoubtEntry, Tone, Verdict, worst

SAVED = Path(__file__).parents[2] / "fixtures" / "results"
LEAST = {
    "BS": 4,
    "QPS": 1500.5,
    "AVG Latency": 2.5,
    "P99 Latency": None,
    "Mode": "QS",
    "Verdict": "VALID",
    "Reasons": [],
    "Warnings": [],
}


@pytest.mark.parametrize("path", sorted(SAVED.glob("*.json")), ids=lambda path: path.stem)
def test_a_saved_result_is_the_same_after_it_was_read_and_written(path):
    saved = json.loads(path.read_bytes())
    again = json.loads(json.dumps(Result.model_validate(saved).to_dict()))
    assert again == saved
    assert list(again) == list(saved)


def test_the_runs_own_reasons_are_told_from_those_of_its_rows():
    saved = json.loads((SAVED / "result-v1-every-kind-of-row.json").read_bytes())
    assert Result.model_validate(saved).own_reasons == []
    own = {"Reasons": ["no data", *saved["Reasons"]]}
    assert Result.model_validate(saved | own).own_reasons == ["no data"]
    alone = Result.model_validate(saved | {"Kind": "sweep", "Reasons": ["no limit"]})
    assert alone.own_reasons == ["no limit"]


def test_absent_keys_stay_absent_and_unknown_ones_are_kept():
    row = Row.model_validate(LEAST | {"Chip Power": 12.5, "Warm-up": {"Completed": 3, "Own": 1}})
    assert (row.completed, row.intervals, row.outcome) == (None, [], None)
    assert row.to_dict() == LEAST | {"Chip Power": 12.5, "Warm-up": {"Completed": 3, "Own": 1}}
    assert row.numbers() == {"BS": 4, "QPS": 1500.5, "AVG Latency": 2.5, "Chip Power": 12.5}


def test_words_are_their_published_text():
    row = Row.model_validate(LEAST | {"Outcome": "does not fit", "Mode": "audit"})
    assert row.outcome is Outcome.NO_ROOM and row.mode is Mode.AUDIT
    assert f"{row.verdict} {row.outcome}" == "VALID does not fit"
    assert json.dumps(row.verdict) == '"VALID"'


def test_a_row_changes_by_making_another():
    row = Row.model_validate(LEAST | {"Own": 1})
    worse = row.invalid("too slow").doubted(DoubtEntry(code="odd", text="odd", cure="--even"))
    assert (worse.verdict, worse.reasons, worse.warnings, worse.warning_codes) == (
        Verdict.INVALID,
        ["too slow"],
        ["odd; --even"],
        ["odd"],
    )
    assert row.valid and not row.reasons
    assert worse.to_dict()["Own"] == 1
    with pytest.raises(ValidationError):
        row.verdict = Verdict.INVALID


def test_warnings_of_older_versions_are_doubts_and_stay_alone_in_the_file():
    plain = LEAST | {"Warnings": ["odd", "strange"]}
    row = Row.model_validate(plain)
    assert [(each.code, each.text, each.cure) for each in row.doubts] == [
        ("", "odd", ""),
        ("", "strange", ""),
    ]
    assert row.to_dict() == plain
    assert row.changed(errors=0).to_dict() == plain | {"Errors": 0}
    assert (row.standing, row.tone) == ("VALID, 2 doubts", Tone.DOUBTFUL)


@pytest.mark.parametrize(
    ("verdict", "codes", "said", "tone"),
    [
        ("VALID", [], "VALID", "good"),
        ("VALID", ["drift"], "VALID, 1 doubt", "doubtful"),
        ("VALID", ["drift", "steal", "preempted"], "VALID, 3 doubts", "doubtful"),
        ("VALID", ["drift", "too_short"], "VALID, too short to tell", "doubtful"),
        ("OVERLOADED", ["too_short"], "OVERLOADED", "bad"),
        ("SLO NOT MET", [], "SLO NOT MET", "bad"),
        ("INVALID", ["drift"], "INVALID", "bad"),
    ],
)
def test_a_row_says_how_far_to_trust_it(verdict, codes, said, tone):
    doubts = [DoubtEntry(code=code, text=code) for code in codes]
    row = Row.model_validate(LEAST | {"Verdict": verdict}).doubted(*doubts)
    assert (row.standing, row.tone) == (said, tone)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "VALID"),
        (["VALID", "VALID"], "VALID"),
        (["VALID", "SLO NOT MET"], "SLO NOT MET"),
        (["OVERLOADED", "SLO NOT MET", "VALID"], "OVERLOADED"),
        (["OVERLOADED", "INVALID", "VALID"], "INVALID"),
    ],
)
def test_the_worst_verdict_is_that_of_the_run(verdicts, expected):
    assert worst(map(Verdict, verdicts)) == expected


def test_a_row_knows_its_intervals_as_shares():
    confidence = {
        "Level": 0.95,
        "Queries Per Second": {"Half Width": 20.0, "Batches": 12},
        "P99 Latency": {"Half Width": None, "Batches": 3, "Why": "too short"},
    }
    figures = {"Queries Per Second": 400.0, "Wall Time": 3.5, "P99 Latency": 2.0}
    row = Row.model_validate(LEAST | figures | {"Confidence": confidence})
    assert (row.measured_s, row.throughput_interval, row.p99_interval) == (3.5, 0.05, None)
    assert row.served_share is None
    offered = row.changed(offered_per_s=800.0)
    assert offered.served_share == 0.5
    assert Row.model_validate(LEAST).throughput_interval is None


@pytest.mark.parametrize(("key", "value"), [("Verdict", "MAYBE"), ("QPS", "fast"), ("BS", 1.5)])
def test_what_is_no_row_is_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        Row.model_validate(LEAST | {key: value})


def test_every_column_is_a_figure_of_a_row():
    row = Row.model_validate(LEAST)
    assert [column.of(row) for column in columns("batch_size", "items_per_s", "p99_ms")] == [
        4,
        1500.5,
        None,
    ]
    assert type(BY_KEY["Verdict"].of(row)) is str
    assert BY_SHORT["p99.9"].key == "P99.9 Latency"
    assert len({column.name for column in COLUMNS}) == len(BY_KEY) == len(COLUMNS)


NUMBERS = st.none() | st.integers(0, 10**12) | st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.none() | st.integers(0, 10**12)
TEXTS = st.lists(st.text(max_size=8), max_size=3)
VALUES = {
    "Completed": COUNTS,
    "Wall Time": NUMBERS,
    "P50 Latency": NUMBERS,
    "Errors By Kind": st.dictionaries(st.text(max_size=8), st.integers(0, 99), max_size=3),
    "Warm-up": st.none() | st.fixed_dictionaries({"Completed": COUNTS, "AVG Latency": NUMBERS}),
    "Intervals": st.lists(st.fixed_dictionaries({"Start": NUMBERS}, optional={"Own": NUMBERS})),
    "Response": st.none() | st.dictionaries(st.sampled_from(["count", "p99.9_ns"]), COUNTS),
    "Outcome": st.sampled_from([None, *map(str, Outcome)]),
    "Vendor": st.none() | st.fixed_dictionaries({"QPS": NUMBERS, "Vendor Answer": st.none()}),
}
ROWS = st.fixed_dictionaries(
    {
        "BS": COUNTS,
        "QPS": NUMBERS,
        "AVG Latency": NUMBERS,
        "P99 Latency": NUMBERS,
        "Mode": st.sampled_from([*map(str, Mode)]),
        "Verdict": st.sampled_from([*map(str, Verdict)]),
        "Reasons": TEXTS,
        "Warnings": TEXTS,
    },
    optional=VALUES | {"Of The Vendor": st.none() | st.text(max_size=8) | NUMBERS},
)


@given(ROWS)
def test_any_row_is_the_same_after_it_was_read_and_written(plain):
    again = json.loads(json.dumps(Row.model_validate(plain).to_dict()))
    assert again == plain
    # An int is not written as a float, nor a float as an int.
    assert {name: type(value) for name, value in again.items()} == {
        name: type(value) for name, value in plain.items()
    }


@given(ROWS)
def test_a_change_leaves_everything_else_as_it_was(plain):
    row = Row.model_validate(plain)
    changed = row.invalid("slow").to_dict()
    assert changed == plain | {"Verdict": "INVALID", "Reasons": [*plain["Reasons"], "slow"]}


def test_a_strange_metric_of_a_data_set_does_not_cost_the_result():
    section = {"Top-1": 0.9, "Items": "many", "Mean Diff": [1, 2]}
    accuracy = Accuracy.lenient(section)
    assert accuracy.to_dict() == section
    assert accuracy.items is None and accuracy.mean_diff is None
    saved = json.loads((SAVED / "result-v1-first.json").read_bytes()) | {"Accuracy": section}
    assert Result.model_validate(saved).to_dict()["Accuracy"] == section
