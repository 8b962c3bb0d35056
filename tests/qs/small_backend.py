"""A small vendor folder with a task of its own, written for one test, and `qs run` on it.

The backend computes nothing: it answers zeros of the right shape, and writes down how it was
called.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from unittest import mock

from tests.qs import program
from tests.qs.results import read_result

MODEL = "digits-cnn-onnx-fp32"
TASK, HARDWARE = "small", "TINY"

COMPILER = """
import json
from pathlib import Path
from qs import CompileBackend

class CompileBackendTINY(CompileBackend):
    def version(self):
        return "1"

    def get_interact_profile(self, configs):
        file = Path(__file__).with_name("TINY.json")
        return json.loads(file.read_text()) if file.exists() else None

    def get_best_batch_size(self):
        return {best}

    def compile(self, configs, dataloader=None):
        sizes = configs["workload"]["batch_sizes"]
        return {{
            "model": configs["model_info"]["model"], "framework": "Onnx",
            "compile_precision": "FP16", "optimizations": {{}}, "instance_count": 1,
            "device_count": 1, "input_type": ["FLOAT32"],
            "max_batch_size": 64, "compile_status": "success", "sg_percent": 100,
            "segments": [{{"sg_idx": 0, "is_fallback": False, "compiled_model": [
                {{"compiled_bs": size, "compiled_obj": configs["model_info"]["model_path"]}}
                for size in sizes]}}],
            "interact_info": configs["interact_info"],
        }}
"""
RUNTIME = """
import os, threading, time
import numpy as np
from qs import RuntimeBackend

class RuntimeBackendTINY(RuntimeBackend):
    placement = None

    def version(self):
        return "1"

    def load(self, batch_size):
        self.batch_size = batch_size

    def get_loaded_batch_size(self):
        return self.batch_size

    {predict}

    def is_qs_mode_supported(self):
        return True

    def generate_qs_config(self):
        return {config}
"""
PREDICT = """
def predict(self, feeds):
    (images,) = feeds.values()
    assert len(images) == self.batch_size, (len(images), self.batch_size)
    time.sleep(0.0005)
    return {"logits": np.zeros((self.batch_size, 10), np.float32)}
"""


def write(
    root: Path,
    config: object = None,
    profile: list[dict] | None = None,
    predict: str = PREDICT,
    best: list[int] | None = None,
    helpers: dict[str, str] | None = None,
    **workload: object,
) -> Path:
    """A workspace at `root`; `config` is what generate_qs_config returns, `workload` what its task
    states.
    """
    folder = root / "backends" / HARDWARE
    folder.mkdir(parents=True)
    (folder / "compile_backend_tiny.py").write_text(COMPILER.format(best=best))
    body = textwrap.indent(textwrap.dedent(predict), "    ").strip()
    (folder / "runtime_backend_tiny.py").write_text(
        RUNTIME.format(predict=body, config=repr(config))
    )
    if profile is not None:
        (folder / f"{HARDWARE}.json").write_text(json.dumps(profile))
    for name, text in (helpers or {}).items():
        (folder / name).write_text(textwrap.dedent(text))
    (root / "workloads").mkdir()
    task = {
        "model": MODEL,
        "test_accuracy": False,
        "test_numeric": False,
        "iterations": 4,
        "batch_sizes": [1],
    }
    (root / "workloads" / f"{TASK}.json").write_text(json.dumps(task | workload))
    return root


def arguments(root: Path, verb: str, *options: object) -> list[str]:
    place = ["--workspace", str(root), "--out", str(root / "reports")]
    return [verb, "--task", TASK, "--hardware_type", HARDWARE, *place, *map(str, options)]


def command(root: Path, *options: object) -> list[str]:
    """`qs run` as a process of its own."""
    return program.command(*arguments(root, "run", *options))


def environment() -> dict[str, str]:
    return program.environment(PROMPT_TOOLKIT_NO_CPR="1", TERM="xterm")


def run(root: Path, *options: object) -> tuple[int, dict | None, str]:
    """(exit status, the result where there is one, standard error). The vendor's code runs in the
    child processes of the program, as ever.
    """
    ran = program.qs(*arguments(root, "run", *options), cwd=root)
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, result_in(root), ran.stderr


def run_changed(root: Path, name: str, value: object, *options: object) -> tuple[int, dict, str]:
    """As `run`, with another value under a name of ours: for constants that no option sets."""
    with mock.patch(name, value):
        status, result, said = run(root, *options)
    assert result is not None, said
    return status, result, said


def folder_of(root: Path) -> Path:
    return root / "reports" / HARDWARE / MODEL


def result_in(root: Path) -> dict | None:
    files = list(folder_of(root).glob("result-*.json"))
    return read_result(files[0]) if files else None
