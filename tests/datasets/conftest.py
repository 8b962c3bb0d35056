"""Data sets of the published formats, on tiny files that a test writes where the data set looks for
them.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from qs.inside.loading import load_dataset_classes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def published(tmp_path, monkeypatch):
    """open(name, model info) -> the preprocessed data set; folder(name) is where its files go;
    score(...) runs its checker.
    """
    monkeypatch.setenv("QS_DATASETS", str(tmp_path))

    def folder(name: str) -> Path:
        (tmp_path / name).mkdir(exist_ok=True)
        return tmp_path / name

    def open_(name: str, seed: int = 0, **info):
        loader, _ = load_dataset_classes(ROOT / "datasets" / name)
        data = loader({"dataset_name": name, **info})
        data.fake_seed = seed
        data.preprocess()
        return data

    def score(data, predict, batch_size=1, percent=100):
        _, checker_class = load_dataset_classes(ROOT / "datasets" / data.name())
        checker = checker_class()
        data.rebatch(batch_size)
        checker.configs, checker.dataloader = dict(data.config), data
        checker.runtime_backend = SimpleNamespace(predict=predict)
        checker.output_dir = str(tmp_path / "out")
        return checker.calculate_acc(percent), checker.evidence

    return SimpleNamespace(folder=folder, open=open_, score=score, out=tmp_path / "out")


@pytest.fixture
def saved(published):
    return lambda name: np.load(published.out / f"{name}.npy", allow_pickle=False)
