from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from qs.base.errors import UserError
from qs.inside.samples import GeneratedDataset
from tests.qs.artifact import graphs


def test_a_whole_compile_result(compile_class, make_model):
    configs, _ = make_model(batch_sizes=[1, 4, 16])
    result = compile_class().compile(configs)
    assert result["compile_status"] == "success"
    assert result["sg_percent"] == 100.0
    assert result["nodes_by_provider"] and set(result["nodes_by_provider"]) == {
        "CPUExecutionProvider"
    }
    assert result["instance_count"] == 1 and result["device_count"] >= 1
    assert result["compile_precision"] == "FP32" and result["input_type"] == ["FLOAT32"]
    assert result["max_batch_size"] == 16 and result["dynamic_batch"] is True
    assert result["batch_sizes_tried"] == [1, 4, 16]
    (segment,) = result["segments"]
    assert (segment["sg_idx"], segment["is_fallback"]) == (0, False)
    assert segment["input_tensor_map"] == {"x": [1, 4]} and segment["output_tensor_map"] == ["y"]
    assert [entry["compiled_bs"] for entry in segment["compiled_model"]] == [1, 4, 16]
    assert all(Path(entry["compiled_obj"]).is_file() for entry in segment["compiled_model"])


def test_configs_are_not_changed_in_place(compile_class, make_model):
    configs, _ = make_model()
    before = repr(configs)
    changed = compile_class().pre_optimize(configs)
    assert repr(configs) == before
    assert changed["model_info"] == configs["model_info"]


def test_the_optimized_graph_is_cached_by_content_and_version(compile_class, make_model, tmp_path):
    configs, _ = make_model()
    first = Path(compile_class().pre_optimize(configs)["optimized_model"])
    assert first.is_relative_to(tmp_path / "cache")
    assert f"ort{onnxruntime.__version__}-{platform.machine()}" in first.name
    stamp = first.stat().st_mtime_ns
    again = compile_class().pre_optimize(configs)
    assert Path(again["optimized_model"]) == first and first.stat().st_mtime_ns == stamp
    assert "from the cache" in again["model_notes"][0]
    other, _ = make_model(outputs=("y", "z"))
    assert Path(compile_class().pre_optimize(other)["optimized_model"]) != first


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-7]),
    "garbage": lambda file: file.write_bytes(b"no graph"),
    "one byte": lambda file: file.write_bytes(file.read_bytes()[:-9] + b"\x7f" * 9),
    "without its seal": lambda file: file.with_name(f"{file.name}.sha256").unlink(),
    "binary seal": lambda file: file.with_name(f"{file.name}.sha256").write_bytes(b"\xff\x00"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_in_the_cache_is_made_anew(compile_class, make_model, damage):
    configs, _ = make_model()
    copy = Path(compile_class().pre_optimize(configs)["optimized_model"])
    before = copy.read_bytes()
    DAMAGES[damage](copy)
    again = compile_class().pre_optimize(configs)
    assert Path(again["optimized_model"]) == copy and copy.read_bytes() == before
    assert "from the cache" not in again["model_notes"][0]
    assert "from the cache" in compile_class().pre_optimize(configs)["model_notes"][0]


def test_the_cached_graph_holds_no_layout_of_one_processor(compile_class):
    """NCHWc convolutions are chosen for the machine they are optimized on; a shared cache must not
    hold any.
    """
    digits = (
        Path(__file__).resolve().parents[2] / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"
    )
    configs = compile_class().pre_optimize(
        {"workload": {}, "model_info": {"model_path": str(digits)}}
    )
    nodes = onnx.load(configs["optimized_model"]).graph.node
    assert {"FusedConv"} <= {node.op_type for node in nodes}
    assert not [node.name for node in nodes if node.domain == "com.microsoft.nchwc"]


@pytest.mark.parametrize("text", [b"", b"no protobuf at all"])
def test_a_damaged_model_is_the_users_error_and_leaves_nothing(
    compile_class, make_model, tmp_path, text
):
    configs, _ = make_model()
    Path(configs["model_info"]["model_path"]).write_bytes(text)
    with pytest.raises(UserError, match="cannot open|is an empty file"):
        compile_class().compile(configs)
    assert not list((tmp_path / "cache").rglob("*.onnx"))


def test_a_missing_model_and_one_of_another_format(compile_class, make_model, tmp_path):
    configs, _ = make_model(info={"model_path": str(tmp_path / "absent.onnx")})
    with pytest.raises(UserError, match=r"absent\.onnx is missing"):
        compile_class().compile(configs)
    (tmp_path / "model.pt").write_bytes(b"x")
    configs, _ = make_model(info={"model_path": str(tmp_path / "model.pt")})
    with pytest.raises(UserError, match="runs ONNX files"):
        compile_class().compile(configs)


def test_a_declared_batch_that_is_fixed(compile_class, make_model):
    configs, _ = make_model(batch=1, batch_sizes=[1, 4])
    result = compile_class().compile(configs)
    assert "batch size 4: dimension 0 of input x is fixed to 1" in result["compile_status"]
    assert [entry["compiled_bs"] for entry in result["segments"][0]["compiled_model"]] == [1]
    assert result["dynamic_batch"] is False
    configs, _ = make_model(batch=1, batch_sizes=[4])
    with pytest.raises(UserError, match="no batch size can be compiled"):
        compile_class().compile(configs)


def test_a_batch_baked_into_the_graph_is_found_by_the_trial(compile_class, make_model):
    """The inputs claim any batch; a Reshape inside knows better. It must not fail only in the
    measured part.
    """
    configs, _ = make_model(reshape=1, batch_sizes=[1, 4])
    result = compile_class().compile(configs)
    assert result["compile_status"].startswith("failed for batch size 4")
    assert [entry["compiled_bs"] for entry in result["segments"][0]["compiled_model"]] == [1]


def test_inputs_of_another_name_are_matched_with_a_note(compile_class, make_model):
    info = {"inputs": "image", "input_shape": {"image": [1, 4]}, "outputs": "logits"}
    configs, _ = make_model(info=info)
    result = compile_class().compile(configs)
    assert result["segments"][0]["input_tensor_map"] == {"image": [1, 4]}
    assert result["segments"][0]["output_tensor_map"] == ["logits"]
    said = [
        "input image feeds the file's x (by position)",
        "the file's output y is logits (by position)",
    ]
    assert result["warnings"] == said and set(said) < set(result["notes"])


def test_inputs_of_their_own_names_and_types_are_no_warning(compile_class, make_model):
    configs, _ = make_model()
    assert compile_class().compile(configs)["warnings"] == []


def test_inputs_that_cannot_be_matched(compile_class, make_model):
    info = {"inputs": "a,b", "input_shape": {"a": [1, 4], "b": [1, 4]}}
    configs, _ = make_model(info=info)
    with pytest.raises(UserError, match=r"takes 1 inputs .* names 2: a, b"):
        compile_class().compile(configs)


def test_threads_follow_the_answer(compile_class, make_model):
    configs, _ = make_model(answers={"intra_op_threads": 2})
    assert compile_class().compile(configs)["intra_op_threads"] == 2
    configs, _ = make_model()
    assert compile_class().compile(configs)["intra_op_threads"] == 1, (
        "a tiny model gains nothing from a second"
    )


def test_best_batch_sizes_only_when_asked(compile_class, make_model):
    compiler = compile_class()
    assert compiler.get_best_batch_size() is None
    for answers in ({}, {"tune_batch_sizes": False}):
        configs, _ = make_model(answers=answers)
        compiler.pre_optimize(configs)
        assert compiler.get_best_batch_size() is None
    configs, _ = make_model(answers={"tune_batch_sizes": True}, batch_sizes=[1, 3])
    compiler.pre_optimize(configs)
    sizes = compiler.get_best_batch_size()
    assert sizes and set(sizes) <= {1, 2, 3, 4, 8, 16} and sizes == sorted(set(sizes))


def test_best_batch_sizes_leave_out_what_the_file_cannot_take(compile_class, make_model):
    compiler = compile_class()
    configs, _ = make_model(answers={"tune_batch_sizes": True}, batch=2, batch_sizes=[1, 2])
    compiler.pre_optimize(configs)
    assert compiler.get_best_batch_size() == [2]


def test_the_profile_asks_what_the_backend_reads(compile_class):
    profile = compile_class().get_interact_profile({})
    assert {question["name"]: question["default"] for question in profile} == {
        "tune_batch_sizes": False,
        "intra_op_threads": 0,
    }


def test_version_names_the_runtime(compile_class, runtime_class):
    assert (
        compile_class().version()
        == runtime_class().version()
        == f"ONNX Runtime {onnxruntime.__version__}"
    )


def test_long_is_int64_in_the_trial(compile_class, make_model):
    configs, _ = make_model(element=TensorProto.INT64, info={"input_type": "LONG"})
    assert compile_class().compile(configs)["compile_status"] == "success"
    assert np.dtype(np.int64).itemsize == 8


class Rows:
    """A data set as upstream's are: batches of whole items, fewer than the largest batch."""

    def __init__(self, ids, name="x"):
        self.ids, self.input, self.asked = ids, name, []
        self.rebatch(1)

    def name(self):
        return "rows"

    def rebatch(self, size, skip=True):
        self.cur_bs = size
        self.asked.append(size)

    def get_batch_count(self):
        return len(self.ids) // self.cur_bs

    def get_samples(self, at):
        return {self.input: self.ids[at * self.cur_bs : (at + 1) * self.cur_bs]}, [0]


def _table(tmp_path, rows=50):
    path = graphs.table(tmp_path / "t.onnx", rows, shape=("N", 4), name="x")
    return {
        "workload": {"batch_sizes": [1, 4, 16]},
        "model_info": {
            "model": "t",
            "model_path": str(path),
            "inputs": "x",
            "input_shape": {"x": [1, 4]},
            "input_type": "INT64",
        },
    }


def test_trials_are_fed_by_the_data_set(compile_class, tmp_path):
    configs, data = _table(tmp_path), Rows(np.arange(40).reshape(10, 4))
    result = compile_class().compile(configs, data)
    assert result["batch_sizes_tried"] == [1, 4, 16], "16 begins again from the first item"
    assert set(data.asked) == {1}, "an eager data set is not copied for each size"
    with pytest.raises(UserError) as error:
        compile_class().compile(configs, Rows(np.full((10, 4), 77)))
    assert "x was fed 77 (of the data set rows)" in str(error.value)
    with pytest.raises(UserError, match="no values for x; it has z"):
        compile_class().compile(configs, Rows(np.zeros((3, 4), np.int64), name="z"))
    with pytest.raises(UserError, match="the data set rows has no items"):
        compile_class().compile(configs, Rows(np.zeros((0, 4), np.int64)))


def test_generated_values_out_of_bounds_name_the_key_that_bounds_them(compile_class, tmp_path):
    configs = _table(tmp_path)
    info = configs["model_info"]
    with pytest.raises(UserError, match="input_range.x of the model info"):
        compile_class().compile(configs, GeneratedDataset(info, 0))
    info["input_range"] = {"x": [0, 50]}
    assert (
        compile_class().compile(configs, GeneratedDataset(info, 0))["compile_status"] == "success"
    )


def test_the_analysis_of_batch_sizes_is_fed_by_the_data_too(compile_class, tmp_path):
    configs = _table(tmp_path)
    configs["qs"] = {"analyse_batch_sizes": True}
    backend = compile_class()
    assert backend.dataloader is None
    backend.dataloader = Rows(np.zeros((3, 4), np.int64))
    backend.pre_optimize(configs)
    assert backend.get_best_batch_size()


def test_weights_beside_a_link_are_found(compile_class, tmp_path):
    """Hugging Face's cache: snapshots of links into a folder of files named by their hashes."""
    weights = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0a1b"
    blobs.mkdir(), snapshot.mkdir(parents=True)
    path = graphs.save(
        tmp_path / "m.onnx",
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        [("x", TensorProto.FLOAT, ["N", 4])],
        [("y", TensorProto.FLOAT, ["N", 4])],
        [("w", weights)],
    )
    model = onnx.load(str(path))
    onnx.save(model, str(path), save_as_external_data=True, location="m.data", size_threshold=0)
    for name in ("m.onnx", "m.data"):
        (tmp_path / name).rename(blobs / f"sha-{name[2:]}")
        (snapshot / name).symlink_to(Path("..", "..", "blobs", f"sha-{name[2:]}"))
    info = {
        "model": "m",
        "model_path": str(snapshot / "m.onnx"),
        "inputs": "x",
        "input_shape": {"x": [1, 4]},
        "input_type": "FLOAT32",
    }
    result = compile_class().compile({"workload": {}, "model_info": info})
    (made,) = result["segments"][0]["compiled_model"]
    (y,) = onnxruntime.InferenceSession(made["compiled_obj"]).run(None, {"x": np.eye(4, dtype="f")})
    np.testing.assert_allclose(y, weights, rtol=1e-5)
    assert sorted(each.name for each in blobs.iterdir()) == ["sha-data", "sha-onnx"]


def test_a_copy_that_lost_weights_is_not_used(compile_class, tmp_path):
    """A file of IR version 3 lists its weights among its inputs; two that nodes make alike are
    merged, and the optimized copy asks for the one that is left over.
    """
    shapes = {"a_shape": [4, 4], "b_shape": [4, 4]}
    value = onnx.numpy_helper.from_array(np.array([0.5], np.float32))
    make = onnx.helper.make_node
    nodes = [make("ConstantOfShape", [name], [name[0]], value=value) for name in shapes]
    nodes += [make("MatMul", ["x", "a"], ["m"]), make("MatMul", ["m", "b"], ["y"])]
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [
            tensor("x", TensorProto.FLOAT, [1, 4]),
            *(tensor(name, TensorProto.INT64, [2]) for name in shapes),
        ],
        [tensor("y", TensorProto.FLOAT, [1, 4])],
        [onnx.numpy_helper.from_array(np.array(sides), name) for name, sides in shapes.items()],
    )
    opset = [onnx.helper.make_opsetid("", 9)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=3), tmp_path / "m.onnx")
    info = {
        "model": "m",
        "model_path": str(tmp_path / "m.onnx"),
        "inputs": "x",
        "input_shape": {"x": [1, 4]},
        "input_type": "FLOAT32",
    }
    result = compile_class().compile({"workload": {}, "model_info": info})
    session = onnxruntime.InferenceSession(
        result["segments"][0]["compiled_model"][0]["compiled_obj"]
    )
    (y,) = session.run(None, {"x": np.ones((1, 4), np.float32)})
    np.testing.assert_allclose(y, np.full((1, 4), 4.0))
    if result["notes"][0].startswith("optimized on every load"):  # as ONNX Runtime 1.32 has it
        assert "the optimized copy takes" in result["notes"][0]
