"""The limit of one predict: what is stated holds; the default grows with the batches where those
before let expect it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from qs.evaluate.expectation import FACTOR, PredictTimeout
from qs.settings.case import Case
from qs.settings.settings import Origin, Setting
from tests.qs.small_backend import run_changed, write

CASE = Case(
    name="bs1-c1",
    batch_size=1,
    requested_batch_size=1,
    clients=1,
    iterations=None,
    duration_s=None,
    time_limit_s=5.0,
    pool="thread",
    instances=1,
    intra_op_threads=None,
    affinity=(),
)
TWO_MINUTES = Setting(120.0, Origin.DEFAULT)


def test_the_default_holds_while_it_is_enough():
    timeouts = PredictTimeout()
    assert timeouts.of(CASE, TWO_MINUTES) is TWO_MINUTES
    timeouts.learn(CASE, 5.0)
    assert timeouts.of(replace(CASE, batch_size=8), TWO_MINUTES) is TWO_MINUTES


@pytest.mark.parametrize(
    ("batch_size", "clients", "expected_s"),
    [(24, 1, 240.0), (4, 3, 120.0), (24, 3, 720.0), (5, 1, 50.0), (1, 1, 40.0)],
)
def test_it_grows_with_batch_and_clients(batch_size, clients, expected_s):
    timeouts = PredictTimeout()
    timeouts.learn(replace(CASE, batch_size=4), 40.0)
    settled = Setting(30.0, Origin.DEFAULT)
    found = timeouts.of(replace(CASE, batch_size=batch_size, clients=clients), settled)
    assert found.value == pytest.approx(FACTOR * expected_s)
    assert found.origin == "3 times what earlier cases suggest"


def test_the_slowest_expectation_counts():
    timeouts = PredictTimeout()
    timeouts.learn(CASE, 30.0)
    timeouts.learn(replace(CASE, batch_size=8), 60.0)
    assert timeouts.of(replace(CASE, batch_size=16), TWO_MINUTES).value == FACTOR * 480.0


@pytest.mark.parametrize("origin", [Origin.COMMAND_LINE, Origin.QS_CONFIG, "QS_PREDICT_TIMEOUT"])
def test_what_somebody_chose_holds(origin):
    timeouts = PredictTimeout()
    timeouts.learn(CASE, 300.0)
    chosen = Setting(2.0, origin)
    assert timeouts.of(replace(CASE, batch_size=64), chosen) is chosen


SLOW = """
def predict(self, feeds):
    time.sleep(0.15 * self.batch_size)
    return {"logits": np.zeros((self.batch_size, 10), np.float32)}
"""


@pytest.mark.parametrize(
    "stated", [pytest.param(stated, marks=pytest.mark.slow) for stated in (False, True)]
)
def test_a_large_batch_that_takes_long_is_no_hang(tmp_path, stated):
    """Two minutes made a third of a second: batch 4 takes 0.6 s, twice that, as batch 1 lets
    expect.
    """
    root = write(tmp_path, predict=SLOW, batch_sizes=[1, 4], iterations=2, clients=1)
    options = ("--predict_timeout", "300ms") if stated else ()
    status, result, said = run_changed(root, "qs.settings.settings.TIMEOUT_S", 0.3, *options)
    small, large = result["Performance"]
    assert small["Verdict"] == "VALID" and small["Predict Timeout"] == 0.3, said
    if stated:
        assert (status, large["Verdict"], large["Predict Timeout"]) == (3, "INVALID", 0.3)
    else:
        assert (status, large["Verdict"]) == (0, "VALID"), said
        # 3 * 0.6, and what a busy machine adds to batch 1
        assert 1.7 < large["Predict Timeout"] < 10
        assert "one predict may take" in said and "what earlier cases suggest" in said
