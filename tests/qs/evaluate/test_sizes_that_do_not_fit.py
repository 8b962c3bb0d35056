"""A batch size that a backend refuses to load is a line with its reason, as in `qs load` and
`qs sweep`; the others are measured.
"""

from __future__ import annotations

import pytest

from tests.qs.small_backend import PREDICT, run, write

CHOOSY = """
def load(self, batch_size):
    from qs.contract.tools import UserError

    if batch_size > 1:
        raise UserError(f"batch size {batch_size} was not compiled; compiled: 1")
    self.batch_size = batch_size

""" + PREDICT.strip()


@pytest.mark.parametrize("checks", [False, True])
def test_the_others_are_measured(tmp_path, checks):
    """Also if it is the first, which the numeric comparison would load."""
    write(tmp_path, predict=CHOOSY, fake_data=True, test_numeric=checks)
    status, result, said = run(tmp_path, "--batch_sizes", "8,1", "--iterations", "4")
    assert status == 3 and result is not None, said
    lines = {row["BS"]: row for row in result["Performance"]}
    assert lines[8]["Verdict"] == "INVALID" and "was not compiled" in lines[8]["Reasons"][0]
    assert (lines[1]["Verdict"], lines[1]["Errors"]) == ("VALID", 0)
    assert ("Numeric" in result.get("Accuracy", {})) == checks


def test_if_none_fits_nothing_was_measured(tmp_path):
    write(tmp_path, predict=CHOOSY, fake_data=True)
    status, _, said = run(tmp_path, "--batch_sizes", "4,8")
    assert status == 2 and "error: batch size 8 was not compiled" in said
