from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qs import AccuracyChecker, Dataset
from qs.contract import test_accuracy


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take most of the time, and one test looks at them."""
    monkeypatch.setattr(test_accuracy, "_draw", lambda *_: None)


class Named(Dataset):
    def name(self) -> str:
        return "digits"


def checker(output_dir: Path) -> AccuracyChecker:
    made = AccuracyChecker()
    made.configs = {"model": "m", "compile_precision": "FP32"}
    made.dataloader = Named({})
    made.output_dir = str(output_dir)
    return made


def test_the_accuracy_is_the_data_sets_to_calculate() -> None:
    with pytest.raises(NotImplementedError, match="AccuracyChecker:calculate_acc"):
        AccuracyChecker().calculate_acc(100)


def test_outputs_are_saved_under_the_data_sets_name_the_last_batch_smaller(tmp_path: Path) -> None:
    path = checker(tmp_path / "new").save_outputs([np.ones((4, 3)), np.zeros((2, 3))])
    assert path == str(tmp_path / "new" / "digits.npy")
    assert np.load(path).shape == (6, 3)
    with pytest.raises(ValueError, match="no outputs"):
        checker(tmp_path).save_outputs([])


def test_without_a_reference_there_is_nothing_to_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = checker(tmp_path)
    one.save_outputs(np.ones(3))
    assert one.calculate_diff() == {}


@pytest.mark.usefixtures("undrawn")
def test_the_published_metrics_against_the_published_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checker(tmp_path / "general_perf" / "reports" / "CPU" / "m").save_outputs(
        np.array([[1.0, 2.0], [4.0, 0.0]])
    )
    other = checker(tmp_path / "out")
    other.save_outputs(np.array([1.5, 2.0, 3.0, 0.25]))  # the same outputs at another batch size
    diff = other.calculate_diff()
    # |d| = 0.5, 0, 1, 0.25; relative to 1, 2, 4 and, for the reference 0, to 1
    assert diff["Mean Diff"] == pytest.approx(0.4375)
    assert diff["Std Diff"] == pytest.approx(np.std([0.5, 0, 1, 0.25]))
    assert diff["Max Diff"] == pytest.approx(1.0)
    assert diff["Max Rel-Diff"] == pytest.approx(0.5)
    assert diff["Mean Rel-Diff"] == pytest.approx((0.5 + 0 + 0.25 + 0.25) / 4)
    assert diff["failed"] is None


@pytest.mark.usefixtures("undrawn")
def test_the_framework_may_name_another_place_for_the_reference(tmp_path: Path) -> None:
    checker(tmp_path / "reference").save_outputs(np.array([1.0, 2.0]))
    other = checker(tmp_path / "out")
    other.reference_dir = str(tmp_path / "reference")
    other.save_outputs(np.array([1.0, 2.0]))
    assert other.calculate_diff()["Max Diff"] == 0.0


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("outputs", "reason"),
    [([1.0, np.nan], "1 NaN"), ([np.inf, 2.0], "1 infinite"), ([1.0, 2.0, 3.0], "shape")],
)
def test_nan_infinite_and_missing_values_fail_the_comparison(
    tmp_path: Path, outputs: list[float], reason: str
) -> None:
    checker(tmp_path / "reference").save_outputs(np.array([1.0, 2.0]))
    other = checker(tmp_path / "out")
    other.reference_dir = str(tmp_path / "reference")
    other.save_outputs(np.array(outputs))
    assert reason in other.calculate_diff()["failed"]


def test_the_three_distributions_are_drawn_where_matplotlib_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    checker(tmp_path / "reference").save_outputs(np.linspace(0, 1, 50))
    other = checker(tmp_path / "out")
    other.reference_dir = str(tmp_path / "reference")
    other.save_outputs(np.linspace(0, 1.1, 50))
    other.calculate_diff()
    assert (tmp_path / "out" / "m-to-fp32.png").read_bytes().startswith(b"\x89PNG")


def test_saved_outputs_are_data_and_never_code(tmp_path: Path) -> None:
    reference = checker(tmp_path / "reference")
    reference.save_outputs(np.array([1.0]))
    np.save(
        tmp_path / "reference" / "digits.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True
    )
    other = checker(tmp_path / "out")
    other.reference_dir = str(tmp_path / "reference")
    other.save_outputs(np.array([1.0]))
    with pytest.raises(ValueError, match="allow_pickle"):
        other.calculate_diff()
