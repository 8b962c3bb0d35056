"""The published schemas: well formed, and of one mind with the loaders on what may stand in a
file.
"""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from qs.base import jsonc
from qs.base.errors import UserError
from qs.cli.main import run_command_line
from qs.config.interact import parse_profile
from qs.config.model_info import check_model_info
from qs.config.qs_config import parse_qs_config
from qs.config.workload import check_workload
from qs.schema.published import PUBLISHED, schema_of
from tests.qs.config.test_qs_config import WHOLE

ROOT = Path(__file__).parents[3]


def fits(name: str, document: object) -> bool:
    return jsonschema.Draft202012Validator(schema_of(name)).is_valid(document)


def loads(name: str, document: object) -> bool:
    try:
        match name:
            case "qs_config":
                parse_qs_config(document, "c")
            case "workload":
                check_workload(document, "w.json", "w").result()
            case "model_info":
                check_model_info(document, "m.json").result()
            case "interact":
                parse_profile(document)
    except UserError:
        return False
    return True


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_schema_is_one(name):
    schema = schema_of(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["title"]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("workload", "workloads/*.json"),
        ("model_info", "model_zoo/*.json"),
        ("interact", "backends/*/*.json"),
    ],
)
def test_every_shipped_file_fits(name, pattern):
    files = sorted(ROOT.glob(pattern))
    assert files
    for file in files:
        assert fits(name, jsonc.read(file)), file


INFO = {
    "model": "m",
    "model_path": "m.onnx",
    "framework": "Onnx",
    "model_format": "onnx",
    "inputs": "a,b",
    "outputs": ["y"],
    "input_shape": {"a": [1, 3], "b": [26, 2]},
    "input_type": "FLOAT32,LONG",
    "dataset_name": None,
    "max_batch_size": 64,
}
QUESTION = {"name": "q", "dialog_type": "Input Dialog", "type": "int", "default": 4}
RADIO = {"name": "q", "dialog_type": "Radiolist Dialog", "options": ["a", "b"], "default": "a"}


def without(document: dict, key: str) -> dict:
    return {name: value for name, value in document.items() if name != key}


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("workload", {}),
        (
            "workload",
            {
                "model": "m",
                "batchsizes": [1, 2],
                "vendor": {"x": 1},
                "$schema": "workload.schema.json",
            },
        ),
        ("workload", {"name": "m", "clients": 1}),
        ("model_info", INFO),
        (
            "model_info",
            without(INFO, "inputs") | {"framework": "pytorch", "framework_version": 1.12},
        ),
        (
            "model_info",
            without(INFO, "model") | {"name": "m", "input_type": ["float32", " Long"], "vendor": 1},
        ),
        (
            "model_info",
            INFO
            | {
                "dataset_name": "",
                "input_type": "INT8",
                "input_range": {"a": [0, 1]},
                "inputs": None,
            },
        ),
        (
            "model_info",
            INFO
            | {
                "sources": [
                    {"kind": "path"},
                    {"kind": "build", "builder": "b.py:f", "kwargs": {"n": 1}},
                ]
            },
        ),
        ("interact", None),
        ("interact", []),
        ("interact", {}),
        ("interact", {"batch_size": 4}),
        ("interact", QUESTION),
        ("interact", [QUESTION, RADIO | {"name": "r", "depends": "q", "note": "?", "vendor": 1}]),
        ("interact", [{"name": "q", "dialog_type": "Yes/No Dialog"}]),
        ("interact", [QUESTION | {"default": "12"}]),
        ("interact", [QUESTION | {"default": None, "depends": None}]),
        (
            "interact",
            [{"name": "q", "dialog_type": "Yes/No Dialog", "type": "bool", "default": "Yes"}],
        ),
        ("qs_config", {}),
        ("qs_config", WHOLE),
        ("qs_config", {"runner": "a.b:c", "pool": None, "warmup": {"seconds": 1}}),
    ],
)
def test_what_loads_fits(name, document):
    assert loads(name, document)
    assert fits(name, document)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("workload", []),
        ("workload", {"clients": 0}),
        ("workload", {"clients": "3"}),
        ("workload", {"batch_sizes": []}),
        ("workload", {"batchsizes": [0]}),
        ("workload", {"model": "a/b"}),
        ("workload", {"test_perf": 1}),
        ("workload", {"data_percent": 101}),
        ("workload", {"model": ".hidden"}),
        *(
            ("model_info", without(INFO, key))
            for key in (
                "model",
                "model_path",
                "framework",
                "model_format",
                "input_shape",
                "input_type",
            )
        ),
        ("model_info", INFO | {"framework": "Keras"}),
        ("model_info", INFO | {"input_type": "FLOATING"}),
        ("model_info", INFO | {"input_shape": {"a": [0], "b": [1]}}),
        ("model_info", INFO | {"input_shape": {}}),
        ("model_info", INFO | {"sources": []}),
        ("model_info", INFO | {"sources": [{"kind": "ftp"}]}),
        ("model_info", INFO | {"sources": [{"kind": "url", "url": "http://x", "sha256": "0"}]}),
        ("model_info", INFO | {"input_range": {"a": [0]}}),
        ("model_info", INFO | {"max_batch_size": 0}),
        ("interact", 3),
        ("interact", [3]),
        ("interact", [without(QUESTION, "name")]),
        ("interact", [QUESTION | {"name": ""}]),
        ("interact", [QUESTION | {"dialog_type": "Dialog"}]),
        ("interact", [QUESTION | {"type": "integer"}]),
        ("interact", [QUESTION | {"default": "many"}]),
        ("interact", [QUESTION | {"default": 1.5}]),
        ("interact", [without(RADIO, "options")]),
        ("interact", [RADIO | {"options": []}]),
        ("interact", [QUESTION | {"depends": 3}]),
        ("qs_config", []),
        ("qs_config", {"runer": "backend"}),
        ("qs_config", {"runner": "asink"}),
        ("qs_config", {"pool": "ray"}),
        (
            "qs_config",
            {"scenarios": [{"name": "Server", "target_qps": 1, "latency_slo_ms": 1, "seeds": 1}]},
        ),
        ("qs_config", {"warmup": {"second": 1}}),
        ("qs_config", {"affinity": [[]]}),
        ("qs_config", {"timeout_s": 0}),
    ],
)
def test_what_does_not_load_does_not_fit(name, document):
    assert not loads(name, document)
    assert not fits(name, document)


def test_the_command_prints_one_schema(capsys):
    assert run_command_line(["schema", "qs_config"]) == 0
    assert json.loads(capsys.readouterr().out) == schema_of("qs_config")


def test_the_command_writes_all_of_them(tmp_path, capsys):
    assert run_command_line(["schema", "--write", str(tmp_path / "new")]) == 0
    written = {path.name: json.loads(path.read_text()) for path in (tmp_path / "new").iterdir()}
    assert written == {f"{name}.schema.json": schema_of(name) for name in PUBLISHED}
    assert len(capsys.readouterr().out.splitlines()) == len(PUBLISHED)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["wrkload"], "did you mean 'workload'"), ([], "--write"), ([""], "no schema ''")],
)
def test_the_command_says_what_there_is(arguments, said, capsys):
    assert run_command_line(["schema", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_committed_schema_of_results_is_the_one_that_holds():
    """Renew it with `qs schema result > docs/schemas/result-1.schema.json`."""
    committed = json.loads((ROOT / "docs" / "schemas" / "result-1.schema.json").read_text())
    assert committed == json.loads(json.dumps(schema_of("result")))
