from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import Faults, UserError
from qs.base.workspace import Workspaces, shipped_root
from qs.config.task import load_task

MODEL = {
    "model_path": "m.onnx",
    "framework": "Onnx",
    "model_format": "onnx",
    "input_shape": {"x": [1, 2]},
    "input_type": "FLOAT32",
    "max_batch_size": 16,
}


def workspace(root: Path, workload: object, model: object = None, name: str = "m") -> Workspaces:
    for folder, file, value in (
        ("workloads", "t.json", workload),
        ("model_zoo", f"{name}.json", model),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            (root / folder / file).write_text(text)
    return Workspaces((root,))


def test_a_task_is_its_workload_and_its_model(tmp_path: Path) -> None:
    found = workspace(
        tmp_path, {"model": "m", "batch_sizes": [1, 16], "multi": 1}, {"model": "m", **MODEL}
    )
    task = load_task(found, "t", {"clients": 5, "iterations": None})
    assert (task.workload.clients, task.workload.iterations) == (5, 100)
    assert task.model.path == tmp_path / "model_zoo" / "m.json"
    assert task.model_info.max_batch_size == 16
    assert len(task.warnings) == 1
    assert "unknown key 'multi'" in task.warnings[0]


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (shipped_root() / "workloads").glob("*.json"))
)
def test_shipped_tasks_are_right(name: str) -> None:
    task = load_task(Workspaces((shipped_root(),)), name)
    assert task.warnings == ()
    assert (task.workload.clients, task.workload.iterations, task.workload.data_percent) == (
        3,
        100,
        100,
    )


def test_faults_of_workload_flags_and_model_come_together(tmp_path: Path) -> None:
    found = workspace(
        tmp_path,
        {"model": "m", "iterations": -1, "batch_sizes": [1, 32]},
        {"model": "m", **MODEL, "framework": "Onyx"},
    )
    with pytest.raises(Faults) as refused:
        load_task(found, "t", {"clients": 0})
    workload, model = tmp_path / "workloads" / "t.json", tmp_path / "model_zoo" / "m.json"
    assert [(fault.file, fault.key, fault.value) for fault in refused.value.faults] == [
        ("--clients", "clients", 0),
        (str(workload), "iterations", -1),
        (str(model), "framework", "Onyx"),
        (str(workload), "batch_sizes[1]", 32),
    ]


@pytest.mark.parametrize(
    ("sizes", "flag", "expected"),
    [
        ([1, 16], None, []),
        ([1, 17, 64], None, [("t.json", "batch_sizes[1]", 17), ("t.json", "batch_sizes[2]", 64)]),
        ([1, 64], [16], []),
        ([1], [32], [("--batch_sizes", "batch_sizes[0]", 32)]),
    ],
)
def test_no_batch_size_above_the_models_maximum(
    tmp_path: Path, sizes: list[int], flag: list[int] | None, expected: list
) -> None:
    found = workspace(tmp_path, {"model": "m", "batch_sizes": sizes}, {"model": "m", **MODEL})
    if not expected:
        load_task(found, "t", {"batch_sizes": flag})
        return
    with pytest.raises(Faults) as refused:
        load_task(found, "t", {"batch_sizes": flag})
    faults = refused.value.faults
    assert [(Path(fault.file).name, fault.key, fault.value) for fault in faults] == expected
    assert all(fault.allowed == "1 to 16, the max_batch_size of m" for fault in faults)


def test_a_model_without_a_maximum_takes_any_batch_size(tmp_path: Path) -> None:
    info = {"model": "m", **MODEL, "max_batch_size": None}
    task = load_task(workspace(tmp_path, {"model": "m", "batch_sizes": [4096]}, info), "t")
    assert task.workload.batch_sizes == (4096,)


@pytest.mark.parametrize(
    ("workload", "model", "parts"),
    [
        (
            {"model": "n", "clients": 0},
            {"model": "m", **MODEL},
            ["clients is 0", "unknown model 'n'", "t.json: model"],
        ),
        ({"model": "m", "clients": 0}, "{", ["clients is 0", "m.json, line 1: not JSON"]),
        ({"model": "../m"}, {"model": "m", **MODEL}, ["model is '../m'"]),
        ("{", None, ["t.json, line 1: not JSON"]),
        ("[]", None, ["t.json: holds a list"]),
        ({"model": "m"}, "3", ["m.json: holds a number"]),
    ],
)
def test_what_cannot_be_found_or_read_is_said_with_the_rest(
    tmp_path: Path, workload: object, model: object, parts: list[str]
) -> None:
    with pytest.raises(UserError) as refused:
        load_task(workspace(tmp_path, workload, model), "t")
    for part in parts:
        assert part in str(refused.value)


@pytest.mark.parametrize("name", ["../t", "", "/t", "t\0"])
def test_names_that_are_not_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is not a valid name for a task"):
        load_task(workspace(tmp_path, {"model": "m"}, {"model": "m", **MODEL}), name)
