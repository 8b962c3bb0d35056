"""`qs list tasks`: names for scripts, a table for people, fields for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.qs.program import ROOT, qs

DIGITS = "digits-cnn-onnx-fp32"


def row(name: str, *typed: object) -> list[str]:
    lines = qs("list", "tasks", "--long", *typed).stdout.splitlines()
    assert lines[0].split()[0] == "TASK"
    return next(line for line in lines if line.startswith(f"{name} ")).split("  ")


def test_a_pipe_gets_names_alone() -> None:
    names = qs("list", "tasks").stdout.splitlines()
    assert DIGITS in names and all(" " not in name for name in names)


def test_the_table_says_what_ships_and_what_does_not() -> None:
    def words(name: str) -> str:
        return " ".join(" ".join(row(name)).split())

    assert words(DIGITS) == f"{DIGITS} FP32 Onnx 3.8 k shipped digits shipped"
    assert words("minilm-onnx-fp32").endswith("downloaded lee downloaded")
    assert words("bert-torch-fp32").endswith("yours or random open_squad yours")


def test_json_has_the_paths_as_ever_and_what_is_known() -> None:
    listed = json.loads(qs("list", "tasks", "--json").stdout)
    assert listed["tasks"][DIGITS].endswith(f"workloads/{DIGITS}.json")
    assert listed["about"][DIGITS] == {
        "precision": "FP32",
        "framework": "Onnx",
        "parameters": 3818,
        "dataset": "digits",
        "weights": "shipped",
        "data": "shipped",
    }


def test_a_task_whose_files_are_damaged_is_listed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "workloads").mkdir()
    (tmp_path / "model_zoo").mkdir()
    shutil.copy(ROOT / "workloads" / f"{DIGITS}.json", tmp_path / "workloads" / "mine.json")
    (tmp_path / "model_zoo" / f"{DIGITS}.json").write_text('{"model": 3, "sources": [[[], {}')
    (tmp_path / "workloads" / "broken.json").write_text("[")
    for name in ("mine", "broken"):
        assert row(name, "--workspace", tmp_path)[-1].strip() == "its model is not described"
