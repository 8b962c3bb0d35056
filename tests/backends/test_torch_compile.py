from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from dataclasses import fields

import numpy as np
import pytest

from qs.base.errors import UserError
from tests.qs.tensors import torch_archives

torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402

from tests.backends import torch_models as made  # noqa: E402
from tests.backends.torch_models import compiler, configs_of, loaded, scripted  # noqa: E402

X = np.arange(8, dtype=np.float32).reshape(2, 4)
WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4) / 10


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    return scripted(made.Linear(), tmp_path_factory.mktemp("torch") / "linear.pt")


def test_a_whole_compile_result(linear):
    result = compiler().compile(configs_of(linear, [1, 4]))
    assert result["compile_status"] == "success" and result["sg_percent"] == 100.0
    assert result["compile_precision"] == "FP32" and result["input_type"] == ["FLOAT32"]
    assert result["dynamic_batch"] is True and result["batch_sizes_tried"] == [1, 4]
    (segment,) = result["segments"]
    assert segment["input_tensor_map"] == {"x": [1, 4]} and segment["output_tensor_map"] == ["y"]
    assert {each["compiled_obj"] for each in segment["compiled_model"]} == {str(linear)}
    assert result["intra_op_threads"] == 1, "a tiny model gains nothing from a second"
    assert result["warnings"] == [] and json.dumps(result)


def test_threads_follow_the_answer(linear):
    result = compiler().compile(configs_of(linear, answers={"intra_op_threads": 2}))
    assert (result["intra_op_threads"], result["intra_op_threads_asked"]) == (2, True)


def test_best_batch_sizes_only_when_asked(linear):
    backend = compiler()
    assert backend.get_best_batch_size() is None
    backend.pre_optimize(configs_of(linear))
    assert backend.get_best_batch_size() is None
    backend.pre_optimize(configs_of(linear, [1, 3], {"tune_batch_sizes": True}))
    sizes = backend.get_best_batch_size()
    assert sizes and set(sizes) <= {1, 2, 3, 4, 8, 16}


def test_the_profile_asks_what_the_backend_reads():
    known = {each.name: each.default for each in fields(made.part("answers").Answers)}
    asked = {each["name"]: each["default"] for each in compiler().get_interact_profile({})}
    assert asked == known | {"tune_batch_sizes": False}


def refused(configs) -> str:
    with pytest.raises(UserError) as error:
        backend = compiler()
        backend.compile(backend.pre_optimize(configs))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_device_that_is_not_there_is_told_what_is(linear):
    for name in ("gpu", "cuda:7", "CUDA0"):
        said = refused(configs_of(linear, answers={"device": name}))
        assert said.startswith(f"device: '{name.lower()}' is not there; there is cpu")


def test_compiling_without_a_compiler_is_said_at_once(linear, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    said = refused(configs_of(linear, answers={"mode": "compile"}))
    assert said.startswith(
        "mode: 'compile' needs a C++ compiler, and no-such-compiler is not found"
    )


def test_what_is_not_torchs_is_named_and_nothing_is_executed(linear, tmp_path):
    witness = tmp_path / "witness"
    whole = linear.read_bytes()
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "cut.pt").write_bytes(whole[:-100])
    (tmp_path / "rot.pt").write_bytes(whole[:200] + bytes(1000) + whole[1200:])
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"x")
    torch.save(torch_archives.Evil(witness), tmp_path / "state.pt")
    for path, said in (
        (tmp_path / "absent.pt", "is missing"),
        (tmp_path / "empty.pt", "an empty file"),
        (tmp_path / "cut.pt", "damaged"),
        (tmp_path / "rot.pt", "cannot be read as TorchScript|damaged"),
        (tmp_path / "folder.pt", "is a folder"),
        (tmp_path / "model.onnx", "reads TorchScript"),
        (tmp_path / "state.pt", "contains pickled objects"),
        (torch_archives.pickled(tmp_path / "pickle.pt", witness), "contains pickled objects"),
        (torch_archives.pickled(tmp_path / "pickle.pt2", witness), "contains pickled objects"),
        (torch_archives.pickled(tmp_path / "p.safetensors", witness), "cannot be read as safetens"),
    ):
        message = refused(configs_of(path))
        assert any(part in message for part in said.split("|")), message
        assert path.name in message
    assert not witness.exists()


def test_inputs_that_the_file_does_not_take(linear, tmp_path):
    info = {"inputs": "a,b", "input_shape": {"a": [1, 4], "b": [1, 4]}}
    assert "takes 1 inputs (x: Tensor), but the model info names 2: a, b" in refused(
        configs_of(linear, **info)
    )
    assert "tensors of numbers alone" in refused(configs_of(linear, input_type="STRING"))

    class Texts(torch.nn.Module):
        def forward(self, x: list[torch.Tensor]) -> torch.Tensor:
            return x[0]

    texts = scripted(Texts(), tmp_path / "texts.pt")
    assert "takes x as a List[Tensor]; only tensors can be fed" in refused(configs_of(texts))


def test_a_batch_size_that_cannot_be_run_is_said_in_one_line(linear):
    said = refused(configs_of(linear, input_shape={"x": [1, 5]}))
    assert "no batch size can be compiled" in said
    assert "mat1 and mat2 shapes cannot be multiplied (1x5 and 4x3)" in said


def test_reduced_precision_is_stated(linear):
    for precision, tolerance in (("bf16", 3e-2), ("fp16", 3e-3)):
        runtime = loaded(configs_of(linear, [2], {"precision": precision}), 2)
        assert runtime.configs["compile_precision"] == precision.upper()
        answer = runtime.predict({"x": X})["y"]
        assert answer.dtype == (np.float32 if precision == "bf16" else np.float16)
        np.testing.assert_allclose(answer, X @ WEIGHTS.T, rtol=tolerance)


def test_a_model_that_fixes_its_types_is_cast_by_operator(tmp_path):
    path = scripted(made.OwnTypes(), tmp_path / "own.pt")
    runtime = loaded(configs_of(path, [2], {"precision": "bf16"}), 2)
    assert runtime.configs["optimizations"]["precision"] == "bf16, autocast"
    (warning,) = runtime.configs["warnings"]
    assert "runs in bf16 by torch.autocast" in warning
    assert runtime.predict({"x": X})["y"].shape == (2, 3)


def test_optimize_for_inference_answers_the_same(linear):
    runtime = loaded(configs_of(linear, [2], {"mode": "optimize_for_inference"}), 2)
    np.testing.assert_allclose(runtime.predict({"x": X})["y"], X @ WEIGHTS.T, rtol=1e-5)
    assert runtime.configs["optimizations"]["mode"] == "optimize_for_inference"


NET = """
import torch
from helper import WIDTH
class Net(torch.nn.Module):
    def __init__(self, scale=1, tied=False):
        super().__init__()
        self.dense = torch.nn.Linear(4, WIDTH, bias=False)
        if tied:
            self.again = torch.nn.Linear(4, WIDTH, bias=False)
            self.again.weight = self.dense.weight
        self.scale = scale
    def forward(self, x):
        return {"y": self.dense(x) * self.scale}
class Broken(torch.nn.Module):
    def __init__(self):
        raise ValueError("no card")
"""


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "helper.py").write_text("WIDTH = 3\n")
    save_file({"dense.weight": torch.from_numpy(WEIGHTS.copy())}, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@pytest.mark.parametrize(
    ("module", "kwargs", "scale"),
    [("net:Net", {}, 1), ("net.py:Net", {"scale": 2}, 2), ("net:Net", {"tied": True}, 1)],
)
def test_safetensors_fill_the_module_that_the_model_info_names(weights, module, kwargs, scale):
    runtime = loaded(configs_of(weights, [2], module=module, module_kwargs=kwargs), 2)
    np.testing.assert_allclose(runtime.predict({"x": X})["y"], X @ WEIGHTS.T * scale, rtol=1e-5)
    assert "optimize_for_inference' is TorchScript's" in refused(
        configs_of(weights, module=module, answers={"mode": "optimize_for_inference"})
    )


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({}, "module: None of the model info; net.safetensors holds weights without a graph"),
        ({"module": "net.py"}, "weights without a graph"),
        ({"module": "absent.net:Net"}, "is not found: there is no absent/net.py in"),
        ({"module": "absent.py:Net"}, "is not found: there is no absent.py in"),
        ({"module": "net:Nothing"}, "has no torch.nn.Module called Nothing; it has Net, Broken"),
        ({"module": "net:Broken"}, "cannot be made: ValueError: no card"),
        ({"module": "bad:Net"}, "cannot be loaded: SystemExit: 3"),
        ({"module": "net:Net", "module_kwargs": [1]}, "module_kwargs: [1] of the model info"),
        ({"module": "other:Net"}, "has no weights for bias; it has weights that the module lacks:"),
        ({"module": "wide:Net"}, "does not fit the module: "),
    ],
)
def test_modules_that_cannot_be_had(weights, info, said):
    folder = weights.parent
    (folder / "bad.py").write_text("import sys\nsys.exit(3)\n")
    (folder / "other.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.bias = torch.nn.Parameter(torch.zeros(1))\n"
    )
    (folder / "wide.py").write_text(NET.replace("(4, WIDTH", "(5, WIDTH"))
    assert said in refused(configs_of(weights, **info))


@pytest.mark.parametrize("cut", [0, 5, 40])
def test_damaged_safetensors(weights, cut):
    weights.write_bytes(weights.read_bytes()[:cut])
    assert "cannot be read as safetensors" in refused(configs_of(weights, module="net:Net"))


@pytest.mark.slow
def test_an_exported_program_runs_eager_and_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    path = tmp_path / "linear.pt2"
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            made.Linear(), (torch.rand(2, 4),), dynamic_shapes=({0: batch},)
        )
        torch.export.save(program, path)
        for mode in ("eager", "compile"):
            runtime = loaded(configs_of(path, [1, 2], {"mode": mode}), 2)
            np.testing.assert_allclose(runtime.predict({"x": X})["y"], X @ WEIGHTS.T, rtol=1e-5)
        fixed = torch.export.export(made.Linear(), (torch.rand(2, 4),))
        torch.export.save(fixed, path)
        result = compiler().compile(configs_of(path, [1, 2]))
    assert "batch size 1: dimension 0 of input x is fixed to 2" in result["compile_status"]


@pytest.mark.slow
def test_torchscript_is_compiled_by_way_of_a_graph(linear, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runtime = loaded(configs_of(linear, [1, 2], {"mode": "compile"}), 2)
    np.testing.assert_allclose(runtime.predict({"x": X})["y"], X @ WEIGHTS.T, rtol=1e-5)


@pytest.mark.slow
def test_a_pickle_inside_an_exported_program_is_not_loaded(tmp_path):
    """torch.export.load takes sample inputs for pickles if they are no tensors."""
    witness, path = tmp_path / "witness", tmp_path / "linear.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(made.Linear(), (torch.rand(2, 4),)), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (name,) = (name for name in members if name.endswith("sample_inputs/model.pt"))
    members[name] = pickle.dumps(torch_archives.Evil(witness))
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    assert "cannot be read as torch.export's archive" in refused(configs_of(path, [2]))
    assert not witness.exists()
