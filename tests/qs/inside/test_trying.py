"""What the trial tells apart: a wrong shape from a wrong value; and that it is bounded. The session
is a stand-in; test_artifact.py has real ones.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qs.artifact.inputs import Input
from qs.artifact.named_values import BY_NAME
from qs.inside import trying
from qs.inside.trying import SMALLER, ValueFault, tried


class Session:
    """Runs what `fails(feeds)` says nothing against."""

    def __init__(self, fails):
        self.fails, self.runs = fails, 0

    def run(self, feeds):
        self.runs += 1
        said = self.fails(feeds)
        if said:
            raise RuntimeError(said)
        return {"y": np.zeros(1)}

    def said(self, error):
        return str(error)


def ids(length: int, **more) -> list[Input]:
    return [Input("ids", "INT64", ("N", "S"), (1, length), guessed=(1,), **more)]


def feeds_of(inputs):
    """The last value of each range: 999 by default."""
    return {
        each.name: np.full(each.shape, 999 if each.range is None else int(each.range[1]) - 1)
        for each in inputs
    }


def beyond(rows: int):
    return lambda feeds: "indices" if feeds["ids"].max() >= rows else None


def test_a_value_that_a_file_does_not_take_does_not_shorten_the_sequence():
    found = tried(Session(beyond(100)), [ids(128), ids(64), ids(1)], feeds_of, lambda each: True)
    (each,) = found.inputs
    assert (each.shape, each.range, each.range_from) == ((1, 128), (0, 64), SMALLER)
    assert found.results is not None and found.said == "indices"


def test_a_number_that_a_name_gave_away_stays_one_number():
    given = ids(4, range=(128, 129), range_from=BY_NAME)
    (each,) = tried(Session(beyond(100)), [given], feeds_of, lambda each: True).inputs
    assert each.range == (63, 64)


def test_one_input_of_several_is_at_fault_and_the_others_keep_their_values():
    both = [*ids(8), Input("free", "INT64", ("N", "S"), (1, 8))]
    found = tried(Session(beyond(2)), [both], feeds_of, lambda each: True)
    assert [each.range for each in found.inputs] == [(0, 2), None]


def test_values_that_the_user_states_are_not_changed():
    with pytest.raises(ValueFault) as error:
        tried(Session(beyond(100)), [ids(128)], feeds_of, lambda each: False)
    assert error.value.said == "indices" and error.value.feeds["ids"].max() == 999


def test_a_shape_that_does_not_run_with_zeros_is_left_for_the_next():
    def fails(feeds):
        return None if feeds["ids"].shape == (1, 64) else "shape"

    found = tried(Session(fails), [ids(128), ids(64)], feeds_of, lambda each: True)
    assert found.inputs[0].shape == (1, 64) and found.inputs[0].range is None


def test_no_guess_is_begun_once_failures_have_taken_their_time(monkeypatch):
    now = itertools.count()
    monkeypatch.setattr(trying.time, "perf_counter", lambda: float(next(now)))
    session = Session(lambda feeds: "shape")
    found = tried(session, map(ids, range(1, 100)), feeds_of, lambda each: True)
    assert found.results is None and len(found.tried) == 1 and session.runs <= 4
