from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from qs.base.errors import UserError
from qs.inside.reference import ReferenceService
from qs.inside.reference_items import load_reference, save_reference
from qs.inside.service import VendorService

ROOT = Path(__file__).resolve().parents[3]
INFO = {
    "model": "m",
    "inputs": "x",
    "outputs": "y",
    "input_shape": {"x": [1, 4]},
    "input_type": "FLOAT32",
    "dataset_name": None,
}


@pytest.fixture
def model(tmp_path):
    """y = x @ w, with x called `given` in the file."""
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["given", "w"], ["out"])],
        "g",
        [helper.make_tensor_value_info("given", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "m.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    return str(path), weights


def test_reference_outputs_are_the_graphs(model, tmp_path):
    path, weights = model
    out = tmp_path / "r.npz"
    about = ReferenceService().reference_outputs(path, INFO, None, False, 5, 6, str(out))
    assert (about["items"], about["outputs"], about["kind"], about["seed"]) == (
        6,
        {"y": [1, 3]},
        "generated",
        5,
    )
    assert "unoptimized, one thread" in about["runtime"] and len(about["notes"]) == 2
    reference = load_reference(out)
    assert len(reference) == 6
    for feeds, outputs in zip(reference.feeds, reference.outputs, strict=True):
        np.testing.assert_allclose(outputs["y"], feeds["x"] @ weights, rtol=1e-5)
    assert len(load_reference(out, items=2)) == 2
    assert [file.name for file in tmp_path.iterdir() if "partial" in file.name] == []


def test_the_same_seed_gives_the_same_file_contents(model, tmp_path):
    path, _ = model
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        ReferenceService().reference_outputs(path, INFO, None, False, seed, 2, str(tmp_path / name))
    a, b, c = (load_reference(tmp_path / name).feeds[1]["x"] for name in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_never_pickled(model, tmp_path):
    path, _ = model
    info = {**INFO, "inputs": "s", "input_shape": {"s": [1, 2]}, "input_type": "STRING"}
    feeds = [{"s": np.array([["a", "b"]])}]
    save_reference(tmp_path / "r.npz", feeds, [{"y": np.array([["c"]])}])
    assert load_reference(tmp_path / "r.npz").outputs[0]["y"].tolist() == [["c"]]
    np.savez(tmp_path / "bad.npz", names=np.array({"x": 1}, dtype=object), items=np.array(1))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        load_reference(tmp_path / "bad.npz")
    assert info


@pytest.mark.parametrize(
    ("content", "info", "message"),
    [
        (b"nonsense", {}, "the reference cannot open"),
        (None, {"inputs": "x,z", "input_shape": {"x": [1, 4], "z": [1, 4]}}, "takes 1 inputs"),
    ],
)
def test_models_that_cannot_be_run(model, tmp_path, content, info, message):
    path, _ = model
    if content is not None:
        Path(path).write_bytes(content)
    with pytest.raises(UserError, match=message):
        ReferenceService().reference_outputs(
            path, {**INFO, **info}, None, False, 0, 2, str(tmp_path / "r.npz")
        )
    assert not (tmp_path / "r.npz").exists()


def test_a_model_that_rejects_its_inputs(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.zeros(3, np.float32), "table")],
    )
    path = tmp_path / "g.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    info = {**INFO, "input_type": "LONG", "input_range": {"x": [0, 1000]}}
    with pytest.raises(UserError, match="cannot be run on this task's inputs"):
        ReferenceService().reference_outputs(
            str(path), info, None, False, 0, 2, str(tmp_path / "r.npz")
        )


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """The shipped task on the CPU backend, compiled; and its parts."""
    from qs.base import jsonc
    from qs.config.model_info import load_model_info
    from qs.config.workload import check_workload

    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    task = ROOT / "workloads" / "digits-cnn-onnx-fp32.json"
    workload = check_workload(jsonc.read(task), str(task), task.stem).value.to_configs()
    info = load_model_info(ROOT / "model_zoo" / "digits-cnn-onnx-fp32.json")[0].to_configs()
    resolved = ReferenceService().resolve_model(info, str(ROOT), 0)
    info["model_path"] = resolved["path"]
    service = VendorService([str(ROOT)], str(ROOT / "backends" / "CPU"), "CPU")
    configs = service.pre_optimize({"workload": workload, "model_info": info, "interact_info": {}})
    service.set_dataset(configs, str(ROOT / "datasets" / "digits"), False, 0)
    result = service.compile(configs)
    service.configure_runtime(result, configs["workload"], configs["model_info"])
    yield service, info, resolved
    service.close()


def test_the_shipped_task_is_accurate_and_agrees(digits, tmp_path):
    service, info, resolved = digits
    assert resolved["synthetic"] is False
    service.load(1)
    accuracy = service.accuracy(100, str(tmp_path / "out"))
    assert accuracy["Top-1"] == pytest.approx(info["pinned_metrics"]["Top-1"], abs=0.005)
    out = str(tmp_path / "r.npz")
    folder = str(ROOT / "datasets" / "digits")
    about = ReferenceService().reference_outputs(resolved["path"], info, folder, False, 0, 20, out)
    assert (about["kind"], about["items"]) == ("dataset", 20)
    for batch_size in (1, 8, 64):
        found = service.numeric(out, batch_size, 20)
        assert found["summary"]["failed"] is None
        assert (
            0 < found["summary"]["Max Diff"] < 1e-4
            and found["summary"]["Cosine Similarity"] > 0.9999
        )


def test_numeric_sees_answers_shifted_by_one(digits, tmp_path):
    service, info, resolved = digits
    service.load(1)
    out = str(tmp_path / "r.npz")
    ReferenceService().reference_outputs(
        resolved["path"], info, str(ROOT / "datasets" / "digits"), False, 0, 16, out
    )
    reference = load_reference(out)
    shifted = reference.outputs[1:] + reference.outputs[:1]
    save_reference(out, reference.feeds, shifted)
    assert service.numeric(out, 1, 16)["summary"]["Max Diff"] > 1


def test_qs_config_and_target_of_the_cpu_backend(digits):
    service, _, _ = digits
    mode = service.qs_mode()
    assert mode["supported"] is True and mode["config"]["qs_version"] == 2
    target = service.load_target(instance=0, batch_size=8, instances=1, intra_op_threads=1)
    assert target(target.samples[0])["logits"].shape == (8, 10)
    session = service.copies[0].backend._session
    service.load(32)
    assert service.copies[0].backend._session is session, (
        "the threads asked for hold for the next batch size too"
    )
    row = service.benchmark(8)
    assert row["BS"] == 8 and row["QPS"] > 0
