"""The digits task: its data, its score through real loaders and a real session, what the score
notices.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from qs.inside.loading import load_dataset_classes

ROOT = Path(__file__).resolve().parents[2]
INFO = json.loads((ROOT / "model_zoo" / "digits-cnn-onnx-fp32.json").read_text())
TOLERANCE = 0.005


class Runtime:
    """A runtime backend in the least words: the committed model in a real session."""

    def __init__(self, spoil=lambda feeds: feeds, answer=lambda outputs: outputs, as_list=False):
        self.session = onnxruntime.InferenceSession(
            str(ROOT / INFO["model_path"]), providers=["CPUExecutionProvider"]
        )
        self.spoil, self.answer, self.as_list = spoil, answer, as_list

    def predict(self, feeds):
        outputs = self.answer(self.session.run(None, self.spoil(feeds))[0])
        return [outputs] if self.as_list else {"logits": outputs}


@pytest.fixture
def loader():
    data_loader, _ = load_dataset_classes(ROOT / "datasets" / "digits")
    made = data_loader(INFO)
    made.preprocess()
    return made


def score(loader, runtime, output_dir, batch_size=1, data_percent=100):
    _, checker_class = load_dataset_classes(ROOT / "datasets" / "digits")
    checker = checker_class()
    loader.rebatch(batch_size)
    checker.configs, checker.dataloader, checker.runtime_backend = INFO, loader, runtime
    checker.output_dir = str(output_dir)
    return checker.calculate_acc(data_percent)


def test_the_score_is_the_pinned_one(loader, tmp_path):
    metrics = score(loader, Runtime(), tmp_path)
    assert metrics["Top-1"] == pytest.approx(INFO["pinned_metrics"]["Top-1"], abs=TOLERANCE)
    assert 0.97 <= metrics["Top-1"] <= 0.99
    saved = np.load(tmp_path / "digits.npy", allow_pickle=False)
    assert saved.shape == (450, 10)
    assert saved.dtype == np.float32


@pytest.mark.parametrize("batch_size", [2, 45, 64])
def test_other_batch_sizes_score_alike_on_their_full_batches(loader, tmp_path, batch_size):
    one = score(loader, Runtime(), tmp_path / "1")
    many = score(loader, Runtime(as_list=True), tmp_path / "many", batch_size)
    full = 450 // batch_size * batch_size
    singles, batched = (np.load(tmp_path / name / "digits.npy") for name in ("1", "many"))
    np.testing.assert_allclose(batched, singles[:full], rtol=0, atol=1e-4)
    if full == 450:
        assert many == one


@pytest.mark.parametrize(
    ("name", "spoil", "answer"),
    [
        (
            "transposed",
            lambda feeds: {"image": feeds["image"].transpose(0, 1, 3, 2).copy()},
            lambda out: out,
        ),
        (
            "upside down",
            lambda feeds: {"image": feeds["image"][:, :, ::-1].copy()},
            lambda out: out,
        ),
        ("shifted by one request", lambda feeds: feeds, lambda out: np.roll(out, 1, axis=0)),
        ("not a number", lambda feeds: feeds, lambda out: np.full_like(out, np.nan)),
        ("all alike", lambda feeds: feeds, np.zeros_like),
    ],
)
def test_the_score_notices_faults(loader, tmp_path, name, spoil, answer):
    spoiled = score(loader, Runtime(spoil, answer), tmp_path, batch_size=45)
    assert spoiled["Top-1"] < INFO["pinned_metrics"]["Top-1"] - 0.5, name


def test_a_share_of_the_data_is_its_first_part(loader, tmp_path):
    score(loader, Runtime(), tmp_path / "all")
    score(loader, Runtime(), tmp_path / "part", data_percent=10)
    everything, part = (np.load(tmp_path / name / "digits.npy") for name in ("all", "part"))
    assert part.shape == (45, 10)
    np.testing.assert_array_equal(part, everything[:45])


def test_the_data_are_real_images_in_the_models_range(loader):
    assert (loader.name(), loader.get_item_count(), loader.get_batch_count()) == (
        "digits",
        450,
        450,
    )
    assert loader.images.dtype == np.float32 and loader.images.shape == (450, 1, 8, 8)
    assert loader.images.min() == 0 and loader.images.max() == 1
    counts = np.bincount(loader.targets, minlength=10)
    assert counts.shape == (10,) and counts.min() >= 30
    assert len(np.unique(loader.images.reshape(450, -1), axis=0)) == 450


@pytest.mark.parametrize(("size", "batches"), [(1, 450), (8, 56), (64, 7), (450, 1), (451, 0)])
def test_rebatching_keeps_every_item_with_its_label(loader, size, batches):
    images, labels = loader.images.copy(), loader.targets.copy()
    loader.rebatch(size)
    assert (loader.cur_bs, loader.get_batch_count(), len(loader.batched_data)) == (
        size,
        batches,
        batches,
    )
    for index in range(batches):
        feeds, wanted = loader.get_samples(index)
        assert feeds["image"].shape == (size, 1, 8, 8)
        np.testing.assert_array_equal(feeds["image"], images[loader.get_id(index)])
        np.testing.assert_array_equal(wanted, labels[loader.get_id(index)])
    with pytest.raises(ValueError):
        loader.get_samples(batches)


def test_the_committed_files_are_small():
    assert (ROOT / INFO["model_path"]).stat().st_size <= 20_000
    assert (ROOT / "datasets" / "digits" / "held_out.npz").stat().st_size <= 20_000
