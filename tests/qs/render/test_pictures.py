from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from qs.render.pictures import MOST_OUTPUTS, draw_distributions
from qs.tensors.numeric import distributions


def opened(path):
    with Image.open(path) as file:
        return file.convert("RGB")


@pytest.mark.slow
def test_three_panels_an_output(tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    want = np.random.default_rng(0).normal(size=1000)
    found = distributions(want, want + 0.01)
    assert (
        draw_distributions({"a": found, "b": found}, tmp_path / "diff-fp16.png") == "diff-fp16.png"
    )
    two = opened(tmp_path / "diff-fp16.png")
    third = two.width // 3
    for panel, colour in enumerate([(178, 24, 43), (77, 77, 77), (33, 102, 172)]):
        pixels = np.asarray(two.crop((panel * third, 0, (panel + 1) * third, two.height // 2)))
        assert (pixels == colour).all(axis=-1).sum() > 1000, panel
    draw_distributions({str(number): found for number in range(9)}, tmp_path / "many.png")
    many = opened(tmp_path / "many.png")
    assert many.height == pytest.approx(two.height / 2 * MOST_OUTPUTS, rel=0.05)


def test_nothing_to_draw_leaves_no_older_picture(tmp_path):
    path = tmp_path / "diff-fp32.png"
    path.write_bytes(b"an earlier run's")
    assert draw_distributions({}, path) is None and not path.exists()
