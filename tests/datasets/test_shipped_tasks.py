"""The shipped tasks with trained weights: pinned metrics on the real data through real sessions,
and the faults that they must notice.

A fault is noticed where a metric leaves its pin by more than 0.005, or, where a class cannot see
it, where the largest difference to the model's own outputs does (numeric agreement and the golden
answers look at that).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from qs.inside.loading import load_dataset_classes
from qs.models import resolve, resolve_data

ROOT = Path(__file__).resolve().parents[2]
PIN = 0.005
SMALL = ["adult-widedeep-onnx-fp32", "mnist-cnn-onnx-fp32", "mnist-cnn-onnx-int8"]
FETCHED = ["minilm-onnx-fp32", "minilm-onnx-int8", "efficientnet-lite0-onnx-fp32"]
TASKS = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in FETCHED)]


class Task:
    """A task's model in a real session, its data and its checker. Outputs of the whole data set are
    computed once for each input.
    """

    def __init__(self, name: str) -> None:
        info = json.loads((ROOT / "model_zoo" / f"{name}.json").read_text())
        self.info, folder = info, ROOT / "datasets" / info["dataset_name"]
        model = resolve(info, ROOT)
        assert not model.synthetic
        files = {file: found["path"] for file, found in resolve_data(folder).items()}
        self.session = onnxruntime.InferenceSession(
            str(model.path), providers=["CPUExecutionProvider"]
        )
        loader, self.checker = load_dataset_classes(folder)
        self.data = loader({**info, "dataset_files": files})
        self.data.preprocess()
        self.pinned = info["pinned_metrics"]

    def outputs(self, spoil=lambda feeds: feeds, batch_size: int = 1) -> np.ndarray:
        answers = []
        for real, feeds in self._batches(batch_size):
            answers.append(self.session.run(None, spoil(feeds))[0][: len(real)])
        return np.concatenate(answers)

    def _batches(self, batch_size: int):
        self.data.rebatch(batch_size, skip=False)
        return list(self.data.batches(np.arange(self.data.items)))

    def metrics(self, outputs: np.ndarray, tmp_path: Path) -> dict[str, float]:
        """The checker's own answer for those outputs, given one by one."""
        task, given = self, iter(outputs)

        class Replay:
            def predict(self, feeds):
                assert len(next(iter(feeds.values()))) == task.data.cur_bs
                return {task.info["outputs"]: next(given)[None]}

        self.data.rebatch(1, skip=False)
        checker = self.checker()
        checker.configs, checker.dataloader, checker.runtime_backend = (
            self.info,
            self.data,
            Replay(),
        )
        checker.output_dir = str(tmp_path)
        found = checker.calculate_acc(100)
        self.evidence = checker.evidence
        return found


@lru_cache
def task_of(name: str) -> Task:
    return Task(name)


@lru_cache
def right(name: str) -> np.ndarray:
    task = task_of(name)
    return task.outputs(batch_size=1 if task.data.items < 100 else 50)


def noticed(task: Task, found: dict[str, float]) -> bool:
    return any(not abs(found[name] - value) <= PIN for name, value in task.pinned.items())


@pytest.mark.parametrize("name", TASKS)
def test_the_pinned_metrics_hold(name, tmp_path):
    task = task_of(name)
    found = task.metrics(right(name), tmp_path)
    assert task.pinned
    for metric, value in task.pinned.items():
        assert found[metric] == pytest.approx(value, abs=PIN)
        if metric in task.evidence["Confidence Intervals"]:
            low, high = task.evidence["Confidence Intervals"][metric]
            assert low <= found[metric] <= high
    assert task.evidence["Items"] == task.data.items


@pytest.mark.parametrize("name", TASKS)
def test_answers_shifted_by_one_request_are_noticed(name, tmp_path):
    task = task_of(name)
    assert noticed(task, task.metrics(np.roll(right(name), 1, axis=0), tmp_path))


@pytest.mark.parametrize("name", TASKS)
def test_one_answer_in_twenty_misrouted_is_noticed(name, tmp_path):
    """Of every twenty answers (at least two) one goes to another request."""
    task, outputs = task_of(name), right(name).copy()
    chosen = np.random.default_rng(0).permutation(len(outputs))[: max(2, len(outputs) // 20)]
    outputs[chosen] = outputs[np.roll(chosen, 1)]
    apart = float(np.abs(outputs - right(name)).max())
    assert apart > 0.1
    assert noticed(task, task.metrics(outputs, tmp_path))


FAULTS = {
    "transposed digits": (
        "mnist-cnn-onnx-fp32",
        lambda f: {"image": f["image"].transpose(0, 1, 3, 2).copy()},
    ),
    "transposed digits, int8": (
        "mnist-cnn-onnx-int8",
        lambda f: {"image": f["image"].transpose(0, 1, 3, 2).copy()},
    ),
    "digits not scaled": ("mnist-cnn-onnx-int8", lambda f: {"image": f["image"] * 255}),
    "digits scaled twice": ("mnist-cnn-onnx-fp32", lambda f: {"image": f["image"] / 255}),
    "numbers not normalized": (
        "adult-widedeep-onnx-fp32",
        lambda f: {**f, "numeric": f["numeric"] * 10 + 38},
    ),
    "numbers in another order": (
        "adult-widedeep-onnx-fp32",
        lambda f: {**f, "numeric": f["numeric"][:, ::-1].copy()},
    ),
    "categories in another order": (
        "adult-widedeep-onnx-fp32",
        lambda f: {**f, "categorical": np.roll(f["categorical"], 1, 0)},
    ),
}
SLOW_FAULTS = {
    "the mask is ignored": (
        "minilm-onnx-fp32",
        lambda f: {**f, "attention_mask": np.ones_like(f["attention_mask"])},
    ),
    "the mask is ignored, int8": (
        "minilm-onnx-int8",
        lambda f: {**f, "attention_mask": np.ones_like(f["attention_mask"])},
    ),
    "colours swapped": (
        "efficientnet-lite0-onnx-fp32",
        lambda f: {"image": f["image"][:, ::-1].copy()},
    ),
    "pictures transposed": (
        "efficientnet-lite0-onnx-fp32",
        lambda f: {"image": f["image"].transpose(0, 1, 3, 2).copy()},
    ),
    "pictures not normalized": (
        "efficientnet-lite0-onnx-fp32",
        lambda f: {"image": f["image"] * 128 + 127},
    ),
    "pictures scaled to 0..1": (
        "efficientnet-lite0-onnx-fp32",
        lambda f: {"image": f["image"] * 0.5 + 0.5},
    ),
}


@pytest.mark.parametrize(
    "fault", [*FAULTS, *(pytest.param(each, marks=pytest.mark.slow) for each in SLOW_FAULTS)]
)
def test_a_wrong_input_is_noticed(fault, tmp_path):
    name, spoil = (FAULTS | SLOW_FAULTS)[fault]
    task = task_of(name)
    outputs = task.outputs(spoil, batch_size=1 if task.data.items < 100 else 50)
    assert noticed(task, task.metrics(outputs, tmp_path))


def test_int8_digits_stay_within_a_hundredth_of_fp32(tmp_path):
    """What quantization costs, with its largest difference."""
    exact, coarse = right("mnist-cnn-onnx-fp32"), right("mnist-cnn-onnx-int8")
    answers = {"fp32": exact, "int8": coarse}
    scores = [
        task_of(f"mnist-cnn-onnx-{kind}").metrics(each, tmp_path)["Top-1"]
        for kind, each in answers.items()
    ]
    assert abs(scores[0] - scores[1]) <= 0.01
    apart = float(np.abs(exact - coarse).max())
    assert 0 < apart < 0.2 * np.abs(exact).max(), apart


@pytest.mark.slow
def test_colours_swapped_are_seen_by_the_difference_even_where_five_classes_do_not(tmp_path):
    task = task_of("efficientnet-lite0-onnx-fp32")
    found = task.metrics(
        task.outputs(lambda feeds: {"image": feeds["image"][:, ::-1].copy()}), tmp_path
    )
    assert found["Golden Max Diff"] > 10 * PIN


@pytest.mark.slow
def test_minilm_answers_alike_at_batch_1_and_16():
    """Vectors are equal to the bit: no batch may leak into another's padding or rounding."""
    task = task_of("minilm-onnx-fp32")
    np.testing.assert_array_equal(right("minilm-onnx-fp32"), task.outputs(batch_size=16))


@pytest.mark.slow
@pytest.mark.parametrize("name", FETCHED)
def test_a_run_from_an_empty_cache_is_valid_and_then_needs_no_network(name, tmp_path):
    import os
    import subprocess
    import sys

    command = [
        sys.executable,
        "-m",
        "qs",
        "run",
        "--task",
        name,
        "--hardware_type",
        "CPU",
        "--time_limit",
        "1",
        "--no_history",
        "--json",
    ]
    env = {**os.environ, "QS_CACHE": str(tmp_path / "cache"), "QS_DATA": str(tmp_path / "data")}
    for more in ((), ("--offline",)):
        ran = subprocess.run(
            [*command, *more], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        accuracy = json.loads(ran.stdout)["Accuracy"]
        for metric, value in task_of(name).pinned.items():
            assert accuracy[metric] == pytest.approx(value, abs=PIN)


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["first token", "padding included", "largest"])
def test_another_pooling_is_noticed(pooling, tmp_path):
    """The vectors as another pooling gives them, handed to the checker as states that are alike in
    every place.
    """
    task, states = task_of("minilm-onnx-fp32"), right("minilm-onnx-fp32")
    pooled = {
        "first token": states[:, 0],
        "padding included": states.mean(axis=1),
        "largest": states.max(axis=1),
    }
    found = task.metrics(np.repeat(pooled[pooling][:, None], states.shape[1], axis=1), tmp_path)
    assert noticed(task, found)


@pytest.mark.slow
def test_minilm_is_an_encoder_of_a_free_batch():
    info = json.loads((ROOT / "model_zoo" / "minilm-onnx-fp32.json").read_text())
    session = onnxruntime.InferenceSession(
        str(resolve(info, ROOT).path), providers=["CPUExecutionProvider"]
    )
    assert [each.name for each in session.get_outputs()] == ["last_hidden_state"]
    assert [each.shape for each in session.get_outputs()] == [["batch", 256, 384]]


@pytest.mark.parametrize("name", ["mnist", "adult"])
def test_without_its_labels_a_data_set_says_what_is_missing(name, tmp_path):
    import shutil

    from qs.inside.samples import open_data

    info = next(json.loads(path.read_text()) for path in (ROOT / "model_zoo").glob(f"{name}*.json"))
    shutil.copytree(ROOT / "datasets" / name, tmp_path / "datasets" / name)
    (tmp_path / "datasets" / name / "held_out.npz").unlink()
    data = open_data(info, str(tmp_path / "datasets" / name), False, 0)
    assert data.kind == "generated"
    assert f"{tmp_path / 'datasets' / name / 'held_out.npz'} is missing; put it there" in data.why


def test_the_committed_files_are_small():
    files = [*ROOT.glob("datasets/*/*.npz"), *ROOT.glob("model_zoo/*/*.onnx")]
    assert len(files) >= 8
    for path in files:
        if "regular" not in path.parts:
            assert path.stat().st_size <= 400_000, path
