"""A TorchScript file of the user's becomes ONNX with the published names and a free batch (needs
torch).
"""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.models import resolve, torchscript

INFO = {
    "model": "m",
    "model_path": "m.pt",
    "inputs": "ids.1,x.1",
    "outputs": "sums,scaled",
    "input_shape": {"ids.1": [1, 6], "x.1": [1, 3, 4]},
    "input_type": "LONG,FLOAT32",
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def scripted(tmp_path):
    """m.pt: two inputs, two outputs, a weight, and a reshape that a careless export would fix to
    batch 1.
    """
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(10, 4)
            self.dense = torch.nn.Linear(12, 2)

        def forward(self, ids, x):
            return self.words(ids).sum(dim=1), self.dense(x.reshape(x.shape[0], -1)) * 2.0

    torch.manual_seed(0)
    model = Model().eval()
    example = (torch.zeros((1, 6), dtype=torch.int64), torch.zeros((1, 3, 4)))
    torch.jit.save(torch.jit.trace(model, example), str(tmp_path / "m.pt"))
    return model


@pytest.mark.filterwarnings("ignore")  # of torch's own making
def test_it_answers_what_torch_answers_at_any_batch_size(scripted, tmp_path):
    import onnxruntime
    import torch

    said = []
    found = resolve(INFO, tmp_path, say=said.append)
    assert (found.kind, found.format, found.synthetic) == ("path", "pt", False)
    assert "converted from TorchScript by torch" in found.note
    assert resolve(INFO, tmp_path, say=said.append).path == found.path
    assert len(said) == 1  # the second time it came from the cache
    session = onnxruntime.InferenceSession(str(found.path), providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["ids.1", "x.1"]
    rng = np.random.default_rng(0)
    for batch in (1, 5):
        ids, x = rng.integers(0, 10, (batch, 6)), rng.random((batch, 3, 4), np.float32)
        got = session.run(["sums", "scaled"], {"ids.1": ids, "x.1": x})
        with torch.no_grad():
            wanted = scripted(torch.from_numpy(ids), torch.from_numpy(x))
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "changed",
    [
        {"outputs": "sums,scaled,more"},
        {"input_shape": {"ids.1": [1, 6], "x.1": [1, 3, 5]}},
        {"inputs": "ids.1", "input_type": "LONG"},
    ],
)
def test_a_model_info_that_does_not_fit_the_file_is_one_message(scripted, tmp_path, cache, changed):
    with pytest.raises(UserError, match="m.pt"):
        resolve(INFO | changed, tmp_path)
    assert [path.name for path in (cache / "models").iterdir() if path.suffix != ".lock"] == []


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_archive_is_one_message(scripted, tmp_path):
    whole = tmp_path / "whole.pt"
    (tmp_path / "m.pt").rename(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / "m.pt", "w") as target:
        for name in source.namelist():
            target.writestr(name, b"damaged" if name.endswith("data.pkl") else source.read(name))
    with pytest.raises(UserError, match="torch cannot convert .*m.pt to ONNX"):
        resolve(INFO, tmp_path)


def test_without_torch_it_says_what_to_install_and_what_else_would_do(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/constants.pkl", b"")
        archive.writestr("m/code/__torch__.py", b"")
    monkeypatch.setattr(torchscript, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match="torch.*is not installed.*install the extra `torch`.*m.onnx"
    ):
        resolve(INFO, tmp_path)
