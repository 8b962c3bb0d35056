"""A row's way into a file and back, and the columns that tables are made of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from qs.result.columns import BY_KEY, BY_SHORT, COLUMNS, columns
from qs.result.result import Result
from qs.result.row import Mode, Outcome, Row, Verdict

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
    worse = row.invalid("too slow").warned("odd")
    assert (worse.verdict, worse.reasons, worse.warnings) == (
        Verdict.INVALID,
        ["too slow"],
        ["odd"],
    )
    assert row.valid and not row.reasons
    assert worse.to_dict()["Own"] == 1
    with pytest.raises(ValidationError):
        row.verdict = Verdict.INVALID


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
