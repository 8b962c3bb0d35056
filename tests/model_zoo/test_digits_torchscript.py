"""The digits CNN as TorchScript: what the committed file computes, and that its script wrote it."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from model_zoo.digits import train

torch = pytest.importorskip("torch")

from model_zoo.digits import torchscript  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def test_its_answers_are_those_of_the_onnx_model():
    import onnxruntime

    with np.load(train.HELD_OUT_FILE, allow_pickle=False) as held_out:
        images = (held_out["images"][:, None] / train.PIXEL_MAX).astype(np.float32)
    session = onnxruntime.InferenceSession(str(train.MODEL), providers=["CPUExecutionProvider"])
    module = torch.jit.load(str(torchscript.SCRIPT))
    with torch.no_grad():
        got = module(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(got, session.run(None, {"image": images})[0], rtol=0, atol=1e-4)


def test_the_script_writes_the_committed_weights_and_no_path_of_this_machine(tmp_path):
    torchscript.write(torchscript.module_of(), tmp_path / "again.pt")
    again, committed = zipfile.ZipFile(tmp_path / "again.pt"), zipfile.ZipFile(torchscript.SCRIPT)
    before, after = (
        {name: file.read(name) for name in file.namelist() if "/data/" in name}
        for file in (committed, again)
    )
    assert len(before) == 6
    assert after == before
    paths = (str(torchscript.HERE).encode(), b"site-packages")
    assert not any(path in committed.read(name) for name in committed.namelist() for path in paths)
