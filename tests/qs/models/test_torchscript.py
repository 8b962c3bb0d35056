"""A TorchScript file of the user's becomes ONNX with the published names and a free batch (needs
torch).
"""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.models import resolve, torchscript
from qs.models.converting import to_onnx
from qs.models.request import ModelRequest

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


def converted(folder, said=None, **changed):
    info = INFO | changed
    path = folder / info["model_path"]
    request = ModelRequest(info, folder, 0, (said or []).append, lambda done, total: None)
    return to_onnx(path, "pt", request)


@pytest.mark.filterwarnings("ignore")  # of torch's own making
def test_it_answers_what_torch_answers_at_any_batch_size(scripted, tmp_path):
    import onnxruntime
    import torch

    resolved = resolve(INFO | {"model_format": "pt"}, tmp_path)
    assert (resolved.path, resolved.format) == (tmp_path / "m.pt", "pt")  # as it is
    said = [None]
    found = converted(tmp_path, said)
    assert found.by == f"torch {torch.__version__}"
    assert found.origin == {"path": str(tmp_path / "m.pt"), "format": "pt"}
    assert found.check["items"] == 4 and found.check["batch_sizes"] == [1, 2]
    assert found.check["max_abs_diff"] < 1e-5 and found.check["tolerance"] == 1e-4
    assert found.check["feeds"] == "ones"  # ids up to 1000 are not in its vocabulary of 10
    assert converted(tmp_path, said) == found
    assert len(said) == 2  # the second time it came from the cache
    ranged = converted(tmp_path, input_range={"ids.1": [0, 10]})
    assert ranged.check["feeds"] == "generated" and ranged.path != found.path
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
        converted(tmp_path, **changed)
    assert [path.name for path in (cache / "models").iterdir() if path.suffix != ".lock"] == []


@pytest.mark.filterwarnings("ignore")
def test_what_torchs_interpreter_says_is_its_last_line(scripted, tmp_path):
    with pytest.raises(UserError, match="to ONNX: RuntimeError: .*shapes cannot be multiplied"):
        converted(tmp_path, input_shape={"ids.1": [1, 6], "x.1": [1, 3, 5]})


@pytest.mark.filterwarnings("ignore")
def test_scalars_in_and_out_have_no_batch(tmp_path):
    torch = pytest.importorskip("torch")

    class Scaled(torch.nn.Module):
        def forward(self, x, by):
            return x * by, by + 1.0

    module = torch.jit.script(Scaled())
    torch.jit.save(module, str(tmp_path / "m.pt"))
    found = converted(
        tmp_path,
        inputs="x,by",
        outputs="y,more",
        input_shape={"x": [1, 2], "by": []},
        input_type="FLOAT32",
    )
    assert found.check["batch_sizes"] == [1, 2]


@pytest.mark.filterwarnings("ignore")
def test_a_dict_is_answered_by_name_where_the_names_are_the_model_infos(tmp_path):
    torch = pytest.importorskip("torch")

    class Named(torch.nn.Module):
        def forward(self, x):
            return {"twice": x * 2.0, "once": x + 0.0}

    traced = torch.jit.trace(Named(), torch.ones(1, 2), strict=False)
    torch.jit.save(traced, str(tmp_path / "m.pt"))
    stated = {"inputs": "x", "input_shape": {"x": [1, 2]}, "input_type": "FLOAT32"}
    import onnxruntime

    feeds = {"x": np.ones((3, 2), np.float32)}
    for outputs, values in (("once,twice", (1, 2)), ("first,second", (2, 1))):
        found = converted(tmp_path, outputs=outputs, **stated)
        got = onnxruntime.InferenceSession(str(found.path)).run(outputs.split(","), feeds)
        assert [float(each[0, 0]) for each in got] == list(values)


@pytest.mark.filterwarnings("ignore")
def test_a_module_for_one_item_is_checked_with_one(tmp_path):
    torch = pytest.importorskip("torch")

    class One(torch.nn.Module):
        def forward(self, x):
            return (x.reshape(4) * 2.0).unsqueeze(0)

    torch.jit.save(torch.jit.trace(One(), torch.ones(1, 4)), str(tmp_path / "m.pt"))
    stated = {"inputs": "x", "outputs": "y", "input_shape": {"x": [1, 4]}, "input_type": "FLOAT32"}
    check = converted(tmp_path, **stated).check
    assert (check["batch_sizes"], check["not_taken"], check["items"]) == ([1], [2], 2)


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_archive_is_one_message(scripted, tmp_path):
    whole = tmp_path / "whole.pt"
    (tmp_path / "m.pt").rename(whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / "m.pt", "w") as target:
        for name in source.namelist():
            target.writestr(name, b"damaged" if name.endswith("data.pkl") else source.read(name))
    with pytest.raises(UserError, match="torch cannot convert .*m.pt to ONNX"):
        converted(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_a_graph_that_answers_otherwise_is_refused_with_by_how_much(scripted, tmp_path, cache):
    """What an exporter got wrong: here a weight of the graph is changed after it was written."""
    import onnx

    def spoil(new):
        model = onnx.load(str(new))
        weight = next(each for each in model.graph.initializer if list(each.dims) == [10, 4])
        weight.raw_data = np.frombuffer(weight.raw_data, np.float32).copy().__mul__(1.5).tobytes()
        onnx.save_model(model, str(new))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchscript, "gather", spoil)
        with pytest.raises(
            UserError,
            match="m.pt was converted to ONNX, and the result answers "
            r"differently: output sums is off by up to .* at batch size 1; "
            "allowed: 0.0001",
        ):
            converted(tmp_path)
    assert [path.name for path in (cache / "models").iterdir() if path.suffix != ".lock"] == []


@pytest.mark.filterwarnings("ignore")
def test_a_check_that_was_lost_is_made_again(scripted, tmp_path, cache):
    first = converted(tmp_path)
    (check,) = (cache / "models").glob("*.check.json")
    check.write_text("{")
    assert converted(tmp_path) == first
    check.unlink()
    assert converted(tmp_path) == first


def test_without_torch_it_says_what_to_install_and_what_else_would_do(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/constants.pkl", b"")
        archive.writestr("m/code/__torch__.py", b"")
    monkeypatch.setattr(torchscript, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match="torch.*is not installed.*install the extra `torch`.*m.onnx"
    ):
        converted(tmp_path)


def test_a_format_without_a_way_to_onnx_says_where_an_export_would_lie(tmp_path):
    request = ModelRequest(INFO, tmp_path, 0, print, lambda done, total: None)
    with pytest.raises(UserError, match=r"m.xml is OpenVINO IR \(.xml\), which .*export.*m.onnx"):
        to_onnx(tmp_path / "m.xml", "openvino", request)
