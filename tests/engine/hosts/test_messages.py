"""A child runs code that is not trusted: what it says is checked part by part."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from qs.engine import HostError
from qs.engine.hosts.messages import answer_of, intervals_of, reports_of, understood
from qs.engine.record.histogram import COUNTS
from qs.engine.record.report import WarmUp, WorkerReport

INDEX, TWO = np.array([3, 9], "<u2").tobytes(), np.array([1, 2], "<u4").tobytes()


def report(**changed) -> dict:
    return asdict(WorkerReport(0, warm=WarmUp(1, 0, 5, 5, 5.0), errors={"died": 1})) | changed


def test_what_a_worker_says_is_taken():
    ((worker, interval),) = intervals_of([(4, 7, INDEX, TWO, 1)], 4, 1, 7)
    assert (worker, interval.number, interval.failed) == (4, 7, 1)
    assert interval.counts.tolist() == [1, 2]
    (found,) = reports_of([report(arrivals=[1, 2])], 1, 7)
    assert (found.errors, found.warm.completed) == ({"died": 1}, 1)


@pytest.mark.parametrize(
    "message",
    [
        None,
        7,
        "ready",
        {},
        (),
        ("ok",),
        ("ok", 1, 2),
        ("error",),
        ("error", 1, 2, 3),
        ("intervals",),
        (["ok"], 1),
        ("unheard of", 1),
    ],
)
def test_messages_of_another_form_are_refused(message):
    with pytest.raises(HostError, match="makes no sense"):
        understood(answer_of, message)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        7,
        [7],
        [()],
        [(0, 0, INDEX, TWO)],
        [(9, 0, INDEX, TWO, 0)],  # a worker of another process
        [(0, 1 << 40, INDEX, TWO, 0)],  # an interval after the run
        [(0, -1, INDEX, TWO, 0)],
        [(0, True, INDEX, TWO, 0)],
        [(0, 0, INDEX, TWO, -1)],
        [(0, 0, INDEX, TWO, 0.5)],
        [(0, 0, INDEX, TWO + TWO, 0)],
        [(0, 0, INDEX[:3], TWO, 0)],
        [(0, 0, np.array([9, 3], "<u2").tobytes(), TWO, 0)],
        [(0, 0, np.array([3, COUNTS], "<u2").tobytes(), TWO, 0)],
    ],
)
def test_intervals_of_another_form_are_refused(plain):
    with pytest.raises(HostError, match="makes no sense"):
        understood(intervals_of, plain, 0, 2, 100)


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        [{}],
        [7],
        [report(), report()],
        *(
            [report(**changed)]
            for changed in (
                {"more": 1},
                {"worker": "0"},
                {"worker": -1},
                {"errors": [1]},
                {"errors": {"died": "x"}},
                {"arrivals": 7},
                {"arrivals": [None]},
                {"arrivals": [0] * 10_000},
                {"paced": [(COUNTS, 1)]},
                {"paced": [1]},
                {"slices": [(1, 2)]},
                {"columns": [(b"1",)]},
                {"columns": [(b"", b"", b"", b"1")]},
                {"warm": 7},
                {"warm": {"completed": 1}},
                {"cpu_ns": 1.5},
                {"wake_up_ns": "x"},
                {"first_fault": 7},
                {"crash": [1]},
                {"delayed_ns": 1 << 70},
            )
        ),
    ],
)
def test_reports_of_another_form_are_refused(plain):
    with pytest.raises(HostError, match="makes no sense"):
        understood(reports_of, plain, 1, 100)
