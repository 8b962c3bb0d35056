from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import MISSING, Faults
from qs.base.workspace import shipped_root
from qs.config.model_info import check_model_info, load_model_info
from qs.config.sources import BuildSource, PathSource

BERT = {
    "model": "bert-torch-fp32",
    "model_path": "general_perf/model_zoo/regular/open_bert/bert-base-uncased-squad-v1.pt",
    "framework": "Pytorch",
    "framework_version": "1.9.1",
    "model_format": "pt",
    "model_precision": "FP32",
    "inputs": "input_ids.1,attention_mask.1,token_type_ids.1",
    "outputs": "start_logits,end_logits",
    "input_shape": {
        "input_ids.1": [1, 384],
        "attention_mask.1": [1, 384],
        "token_type_ids.1": [1, 384],
    },
    "input_type": "LONG,LONG,LONG",
    "dataset_name": "open_squad",
    "max_batch_size": 64,
    "is_quantized": False,
}
WIDEDEEP = {
    "model": "widedeep-tf-fp32",
    "model_path": "general_perf/model_zoo/regular/open_wide_deep_saved_model",
    "onnx_model_path": "general_perf/model_zoo/regular/widedeep_dynamicshape_sim.onnx",
    "framework": "Tensorflow",
    "framework_version": "2.4.0",
    "framework_iluvatar": "IXRT",
    "model_format": "saved_model",
    "model_precision": "FP32",
    "inputs": "new_categorical_placeholder:0,new_numeric_placeholder:0",
    "outputs": "import/head/predictions/probabilities:0",
    "input_shape": {"new_categorical_placeholder:0": [26, 2], "new_numeric_placeholder:0": [1, 13]},
    "input_type": "INT64,FLOAT32",
    "dataset_name": "open_criteo_kaggle",
    "max_batch_size": 16384,
}


def test_a_published_file_typed() -> None:
    info = check_model_info(BERT, "m.json").value
    assert info.inputs == ("input_ids.1", "attention_mask.1", "token_type_ids.1")
    assert info.outputs == ("start_logits", "end_logits")
    assert info.input_shape["input_ids.1"] == (1, 384)
    assert info.input_type == dict.fromkeys(info.inputs, "LONG")
    assert info.sources == (PathSource(kind="path"),)
    assert (info.dataset_name, info.max_batch_size, info.is_quantized) == ("open_squad", 64, False)


@pytest.mark.parametrize("published", [BERT, WIDEDEEP])
def test_vendors_get_the_published_spelling_with_their_own_keys(published: dict) -> None:
    checked = check_model_info(published, "m.json")
    assert checked.value.to_configs() == {"is_quantized": False, **published}
    assert checked.warnings == ()


def test_the_batch_multiplies_the_first_side() -> None:
    info = check_model_info(WIDEDEEP, "m.json").value
    assert info.batch_shape("new_categorical_placeholder:0", 1024) == (26 * 1024, 2)
    assert info.batch_shape("new_numeric_placeholder:0", 3) == (3, 13)


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (shipped_root() / "model_zoo").glob("*.json"))
)
def test_shipped_model_infos_are_right(name: str) -> None:
    file = shipped_root() / "model_zoo" / f"{name}.json"
    info, warnings = load_model_info(file)
    assert warnings == []
    assert info.model == name
    assert info.to_configs() == json.loads(file.read_text())


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        (
            {"input_type": "FLOAT32"},
            "input_type",
            dict.fromkeys(BERT["inputs"].split(","), "FLOAT32"),
        ),
        (
            {"input_type": ["long", "INT32", "bool"]},
            "input_type",
            dict(zip(BERT["inputs"].split(","), ["LONG", "INT32", "BOOL"], strict=True)),
        ),
        ({"inputs": BERT["inputs"].split(",")}, "inputs", tuple(BERT["inputs"].split(","))),
        (
            {"inputs": BERT["inputs"].replace(",", " , ")},
            "inputs",
            tuple(BERT["inputs"].split(",")),
        ),
        ({"inputs": None}, "inputs", tuple(BERT["inputs"].split(","))),
        ({"outputs": None}, "outputs", ()),
        ({"dataset_name": None}, "dataset_name", None),
        ({"dataset_name": ""}, "dataset_name", None),
        ({"max_batch_size": None}, "max_batch_size", None),
        ({"framework": "ONNX"}, "framework", "Onnx"),
        ({"framework": "PyTorch"}, "framework", "Pytorch"),
        ({"framework_version": 1.12}, "framework_version", "1.12"),
        ({"input_range": {"input_ids.1": [1, 30522]}}, "input_range", {"input_ids.1": (1, 30522)}),
    ],
)
def test_other_spellings(change: dict, key: str, expected: object) -> None:
    checked = check_model_info(BERT | change, "m.json")
    assert checked.faults == ()
    assert getattr(checked.value, key) == expected


def test_name_stands_for_model() -> None:
    info = {key: value for key, value in BERT.items() if key != "model"} | {"name": "bert"}
    assert check_model_info(info, "m.json").value.model == "bert"
    (fault,) = check_model_info(BERT | {"name": "clip"}, "m.json").faults
    assert (fault.key, fault.value) == ("name", "clip")


@pytest.mark.parametrize(
    ("change", "key", "value", "nearest"),
    [
        ({"model": "../x"}, "model", "../x", None),
        ({"model_path": ""}, "model_path", "", None),
        ({"model_path": 3}, "model_path", 3, None),
        ({"model_path": "a\0b"}, "model_path", "a\0b", None),
        ({"framework": "Onyx"}, "framework", "Onyx", "Onnx"),
        ({"framework": None}, "framework", None, None),
        ({"dataset_name": "../squad"}, "dataset_name", "../squad", None),
        ({"max_batch_size": 0}, "max_batch_size", 0, None),
        ({"max_batch_size": "64"}, "max_batch_size", "64", None),
        ({"is_quantized": "no"}, "is_quantized", "no", None),
        ({"inputs": "a,,b"}, "inputs", "a,,b", None),
        ({"inputs": "input_ids.1,input_ids.1"}, "inputs", "input_ids.1,input_ids.1", None),
        ({"inputs": 3}, "inputs", 3, None),
        ({"input_shape": None}, "input_shape", None, None),
        ({"input_shape": {}}, "input_shape", {}, None),
        ({"input_type": "LONG,LONG"}, "input_type", "LONG,LONG", None),
        ({"input_type": None}, "input_type", None, None),
        ({"input_type": "LONG,LONK,LONG"}, "input_type[1]", "LONK", "LONG"),
        ({"input_type": "FLOAT23"}, "input_type[0]", "FLOAT23", "FLOAT32"),
        ({"input_range": {"input_ids.2": [0, 1]}}, "input_range", "input_ids.2", "input_ids.1"),
        ({"input_range": {"input_ids.1": [5, 4]}}, "input_range.input_ids.1", [5, 4], None),
        (
            {"input_range": {"input_ids.1": [0, float("inf")]}},
            "input_range.input_ids.1",
            [0, float("inf")],
            None,
        ),
        ({"input_range": [0, 1]}, "input_range", [0, 1], None),
        ({"sources": []}, "sources", [], None),
        ({"sources": [{"kind": "biuld"}]}, "sources[0].kind", "biuld", "build"),
        ({"sources": [{}]}, "sources[0].kind", MISSING, None),
        ({"sources": ["path"]}, "sources[0]", "path", None),
        ({"sources": [{"kind": "build", "builder": "b.py"}]}, "sources[0].builder", "b.py", None),
        (
            {
                "sources": [
                    {"kind": "path"},
                    {"kind": "url", "url": "ftp://x/y", "sha256": "0" * 64},
                ]
            },
            "sources[1].url",
            "ftp://x/y",
            None,
        ),
        ({"sources": [{"kind": "url", "url": "https://x/y"}]}, "sources[0].sha256", MISSING, None),
        (
            {"sources": [{"kind": "pypi", "package": "a", "file": "b", "sha256": "0" * 64}]},
            "sources[0].package",
            "a",
            None,
        ),
    ],
)
def test_each_fault_has_key_value_and_the_nearest_name(
    change: dict, key: str, value: object, nearest: str | None
) -> None:
    (fault,) = check_model_info(BERT | change, "m.json").faults
    assert (fault.file, fault.key, fault.value, fault.nearest) == ("m.json", key, value, nearest)
    assert fault.allowed


@pytest.mark.parametrize(
    "shape", [[0], [0, 3], [-1, 3], [None, 3], [1.0, 3], [True], "1,384", None, 3]
)
def test_shapes_that_cannot_be(shape: object) -> None:
    shapes = BERT["input_shape"] | {"input_ids.1": shape}
    (fault,) = check_model_info(BERT | {"input_shape": shapes}, "m.json").faults
    assert (fault.key, fault.value) == ("input_shape.input_ids.1", shape)


def test_inputs_and_shapes_have_the_same_names() -> None:
    shapes = {"input_ids.l": [1, 384], "attention_mask.1": [1, 384], "token_type_ids.1": [1, 384]}
    missing, unknown = check_model_info(BERT | {"input_shape": shapes}, "m.json").faults
    assert (missing.key, missing.value) == ("input_shape.input_ids.1", MISSING)
    assert "'input_ids.l' a misspelling" in missing.hint
    assert (unknown.key, unknown.value, unknown.nearest) == (
        "input_shape",
        "input_ids.l",
        "input_ids.1",
    )


def test_all_faults_at_once(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    bad = {
        "model": "",
        "framework": "X",
        "max_batch_size": -1,
        "input_type": "Q",
        "sources": [{"kind": "z"}],
    }
    file.write_text(json.dumps(bad))
    with pytest.raises(Faults) as refused:
        load_model_info(file)
    keys = {fault.key for fault in refused.value.faults}
    assert keys == {
        "model",
        "model_path",
        "framework",
        "model_format",
        "max_batch_size",
        "input_shape",
        "input_type[0]",
        "sources[0].kind",
    }


def test_missing_keys_say_so_and_what_looks_like_them() -> None:
    info = {key: value for key, value in BERT.items() if key != "model_format"} | {
        "modelformat": "pt"
    }
    checked = check_model_info(info, "m.json")
    (fault,) = checked.faults
    assert (fault.key, fault.value) == ("model_format", MISSING)
    assert "'modelformat'" in fault.hint


@pytest.mark.parametrize(
    ("key", "warned"),
    [
        ("max_batchsize", True),
        ("input_types", True),
        ("layout", False),
        ("onnx_model_path", False),
        ("framework_iluvatar_version", False),
        ("pinned_metrics", False),
    ],
)
def test_only_keys_that_look_misspelt_warn(key: str, warned: bool) -> None:
    checked = check_model_info(BERT | {key: 1}, "m.json")
    assert bool(checked.warnings) == warned
    assert checked.value.to_configs()[key] == 1


def test_sources_are_typed_and_passed_on_as_written() -> None:
    sources = [
        {"kind": "path"},
        {"kind": "build", "builder": "builders/b.py:f", "kwargs": {"layers": 2}},
    ]
    info = check_model_info(BERT | {"sources": sources}, "m.json").value
    assert isinstance(info.sources[1], BuildSource)
    assert info.sources[1].kwargs == {"layers": 2}
    assert info.to_configs()["sources"] == sources
