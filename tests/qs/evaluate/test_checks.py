"""A metric that differs from the model's known value is said."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from qs.evaluate.checks import surprises


@pytest.mark.parametrize(
    ("pinned", "metrics", "count"),
    [
        ({"Top-1": 0.98667}, {"Data Percent": 100, "Top-1": 0.98222}, 0),
        ({"Top-1": 0.98667}, {"Data Percent": 100, "Top-1": 0.98}, 1),
        (
            {"Top-1": 0.98667},
            {"Data Percent": 100, "Top-1": 0.942},
            1,
        ),  # 5 % of the answers misrouted
        ({"Top-1": 0.98667}, {"Data Percent": 100, "Top-1": float("nan")}, 1),
        (
            {"Top-1": 0.98667},
            {"Data Percent": 50, "Top-1": 0.90},
            0,
        ),  # pinned on the whole data set
        ({"Top-1": 0.98667}, {"Data Percent": 100, "Not Measured": "no data"}, 0),
        (None, {"Data Percent": 100, "Top-1": 0.1}, 0),
    ],
)
def test_only_a_known_metric_out_of_its_range_is_a_surprise(pinned, metrics, count):
    configs = {} if pinned is None else {"pinned_metrics": pinned}
    prepared = SimpleNamespace(model_info=SimpleNamespace(to_configs=lambda: configs))
    assert len(surprises(metrics, prepared)) == count
