"""`qs numeric`: the whole comparison, one item again, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from tests.qs.program import qs
from tests.qs.results import read_result

TASK = "digits-cnn-onnx-fp32"


@pytest.fixture(scope="module")
def numeric(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numeric")
    asked = ("numeric", "--task", TASK, "--hardware_type", "CPU")

    def run(*options):
        return qs(*asked, *options, cwd=folder, QS_CACHE=str(folder / "cache"))

    run.reports = folder / "reports" / "CPU" / TASK
    return run


@pytest.mark.slow
def test_the_whole_comparison_and_its_picture(numeric):
    ran = numeric("--batch_size", 4)
    assert ran.returncode == 0, ran.stderr
    assert (
        "16 items at batch size 4; reference: ONNX Runtime" in ran.stdout
        and "worst item" in ran.stdout
    )
    found = read_result(numeric.reports / "numeric-fp32.json")["Accuracy"]
    assert (
        found["Diff Dist"] == "diff.numeric-fp32.png"
        and (numeric.reports / "diff.numeric-fp32.png").read_bytes()[:4] == b"\x89PNG"
    )
    row = found["Numeric"]["outputs"]["logits"]
    assert (
        row["Top-1 Agreement"] == 1.0
        and row["Max ULP"] < 10_000
        and row["Worst Item"]["max_diff"] == row["Max Diff"]
    )
    assert "distributions" not in found["Numeric"]
    # A run's page is not touched: this is another.
    assert (numeric.reports / "numeric.html").exists()
    assert not (numeric.reports / "report.html").exists()


def test_an_item_is_replayed_and_saved(numeric):
    ran = numeric("--item", 20, "--quiet")
    assert ran.returncode == 0, ran.stderr
    want, got, feeds = (
        np.load(numeric.reports / f"item-20-{side}.npz")
        for side in ("reference", "backend", "feeds")
    )
    assert want["logits"].shape == got["logits"].shape == (1, 10) and feeds["image"].shape == (
        1,
        1,
        8,
        8,
    )
    np.testing.assert_allclose(got["logits"], want["logits"], atol=1e-4)
    found = read_result(numeric.reports / "numeric-fp32.json")["Accuracy"]["Numeric"]
    assert found["outputs"]["logits"]["Max Diff"] == pytest.approx(
        float(np.abs(want["logits"] - got["logits"]).max())
    )


@pytest.mark.slow
def test_an_item_that_is_not_there(numeric):
    ran = numeric("--item", 450)
    assert ran.returncode == 2
    assert (
        "--item is 450; allowed: 0 to 449: the data has 450 items" in ran.stderr
        and "Traceback" not in ran.stderr
    )
