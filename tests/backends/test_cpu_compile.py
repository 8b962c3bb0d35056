from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from qs.base.errors import UserError


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
    with pytest.raises(UserError, match="cannot open"):
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
    assert any("image feeds the file's x" in note for note in result["notes"])


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
