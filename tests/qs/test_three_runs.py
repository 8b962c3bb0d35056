"""Three runs of a task that ships, on whatever this machine is busy with: they agree within the
intervals that they print, or say that they cannot tell.
"""

from __future__ import annotations

from itertools import combinations

import pytest

from qs.result.row import Row
from qs.result.saved import read_result
from tests.qs.program import qs


def agree(a: Row, b: Row) -> bool:
    """Whether the intervals of their throughputs overlap, or one of them claims none, or says that
    another run may differ by more.
    """
    if a.too_short or b.too_short or a.disturbed or b.disturbed:
        return True
    widths = [(row.items_per_s or 0.0) * (row.throughput_interval or 0.0) for row in (a, b)]
    return abs((a.items_per_s or 0.0) - (b.items_per_s or 0.0)) <= sum(widths)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_three_runs_of_digits_agree_or_cannot_tell(tmp_path):
    results = []
    for number in range(3):
        out = tmp_path / str(number)
        ran = qs(
            "run",
            "--task",
            "digits-cnn-onnx-fp32",
            "--hardware_type",
            "CPU",
            "--no_input",
            "--no_history",
            "--quiet",
            "--out",
            out,
        )
        assert ran.returncode == 0, ran.stderr
        (file,) = out.rglob("result-fp32.json")
        results.append(read_result(file))
    for rows in zip(*(result.performance for result in results), strict=True):
        assert all((row.measured_s or 0.0) >= 3.0 and row.valid for row in rows)
        for a, b in combinations(rows, 2):
            said = [(row.items_per_s, row.throughput_interval, row.standing) for row in (a, b)]
            assert agree(a, b), said
