"""A run whose backend asks for another version of a package that we have too: each gets its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest

from tests.qs.environments.packages import repack, write_held, write_wheel

ROOT = Path(__file__).parents[3]
TASK = "digits-cnn-onnx-fp32"
OURS = metadata.version("iniconfig")

COMPILE = """
from general_perf.backends import compile_backend

class CompileBackendACME(compile_backend.CompileBackend):
    def version(self):
        return "1"

    def compile(self, configs, dataloader=None):
        info = configs["model_info"]
        return {
            "model": info["model"], "framework": info["framework"], "compile_precision": "FP32",
            "input_type": ["FLOAT32"], "max_batch_size": 64, "compile_status": "success",
            "sg_percent": 100, "optimizations": {}, "instance_count": 1, "device_count": 1,
            "segments": [{"sg_idx": 0, "is_fallback": False,
                          "input_tensor_map": {}, "output_tensor_map": {},
                          "compiled_model": [{"compiled_bs": 1, "compiled_obj": "none"}]}],
        }
"""
RUNTIME = """
import importlib.util
import os
import shutil
import iniconfig
import numpy as np
from general_perf.backends import runtime_backend

OURS = "click filelock hdrh onnxruntime orjson platformdirs psutil pydantic rich".split()

class RuntimeBackendACME(runtime_backend.RuntimeBackend):
    def version(self):
        strange = [name for name in OURS if importlib.util.find_spec(name)]
        python = os.path.dirname(shutil.which("python"))
        version = getattr(iniconfig, "__version__", None)
        return f"iniconfig {version}, ours that it sees: {strange}, python in {python}"

    def load(self, batch_size):
        self.batch_size = batch_size

    def get_loaded_batch_size(self):
        return self.batch_size

    def predict(self, feeds):
        images = feeds[self.model_info["inputs"].split(",")[0]]
        return {"logits": images.reshape(len(images), 64)[:, :10]}

    def is_qs_mode_supported(self):
        return True

    def generate_qs_config(self):
        return {"clients": 2, "iterations": 20, "batch_sizes": [1, 4]}

    def benchmark(self, dataloader):
        return {"QPS": 1.0}
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A workspace with the backend ACME, a cache, and wheels of numpy (ours) and iniconfig (another
    than ours).
    """
    root = tmp_path_factory.mktemp("machine")
    folder = root / "workspace" / "backends" / "ACME"
    folder.mkdir(parents=True)
    (folder / "compile_backend_acme.py").write_text(COMPILE)
    (folder / "runtime_backend_acme.py").write_text(RUNTIME)
    write_wheel(root / "wheels", "iniconfig", "0.1")
    repack("numpy", root / "wheels")
    return root


def start(machine, *arguments, requirements="iniconfig==0.1\n", **variables):
    folder = machine / "workspace" / "backends" / "ACME"
    (folder / "requirements.txt").write_text(
        f"--no-index\n--find-links {machine / 'wheels'}\n{requirements}"
    )
    command = [
        sys.executable,
        "-m",
        "qs",
        "run",
        "--task",
        TASK,
        "--hardware_type",
        "ACME",
        "--json",
        *arguments,
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "QS_CACHE": str(machine / "cache"), **variables}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=machine / "workspace", env=env, **pipes)


def run(machine, *arguments, **more):
    process = start(machine, *arguments, **more)
    stdout, stderr = process.communicate(timeout=200)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


@pytest.mark.slow
def test_a_backend_runs_in_its_own_environment(machine):
    ran = run(machine)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    environment = result["Environment"]
    folder = machine / "cache" / "environments" / environment["Key"]
    assert (
        result["Runtime Version"]
        == f"iniconfig 0.1, ours that it sees: [], python in {folder / 'bin'}"
    )
    assert environment["Interpreter"] == str(folder / "bin" / "python")
    assert environment["Created"] is True
    assert environment["Packages"] == {"iniconfig": "0.1", "numpy": metadata.version("numpy")}
    assert "does not satisfy requirements.txt" in environment["Why"]
    assert "is added" in ran.stderr
    assert f"environment: {environment['Key']}, the backend's own" in ran.stderr
    # all of it worked there: accuracy, numeric agreement, both cases
    assert 0 < result["Accuracy"]["Top-1"] < 1
    assert result["Accuracy"]["Numeric"]["outputs"]
    assert [(row["BS"], row["Completed"], row["Errors"]) for row in result["Performance"]] == [
        (1, 40, 0),
        (4, 40, 0),
    ]
    # ours is what it was
    code = "from importlib import metadata; print(metadata.version('iniconfig'))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == OURS

    again = json.loads(run(machine, "--iterations", "5").stdout)["Environment"]
    assert (again["Key"], again["Created"]) == (environment["Key"], False)

    # Packages on our PYTHONPATH would go before the environment's own. (An empty folder numpy does
    # not hide ours.)
    other = machine / "target"
    (other / "numpy").mkdir(parents=True)
    (other / "iniconfig.py").write_text("__version__ = 'of PYTHONPATH'")
    third = run(machine, "--iterations", "5", PYTHONPATH=f"{ROOT}{os.pathsep}{other}")
    assert json.loads(third.stdout)["Runtime Version"].startswith("iniconfig 0.1,")


@pytest.mark.slow
def test_the_current_environment_can_be_asked_for(machine):
    ran = run(machine, "--env", "current", "--iterations", "5")
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["Environment"] == {
        "Key": None,
        "Interpreter": sys.executable,
        "Created": False,
        "Why": "the current environment was asked for",
        "Packages": {},
    }
    assert "'pydantic'" in result["Runtime Version"]


@pytest.mark.slow
def test_a_failing_install_is_the_users_error(machine):
    ran = run(machine, requirements="iniconfig==9.9\n")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "could not install it" in ran.stderr
    assert "iniconfig==9.9" in ran.stderr.splitlines()[-1]
    assert json.loads(ran.stdout or "null") is None


def test_an_environment_of_its_own_is_refused_in_our_own_process(machine):
    ran = run(machine, "--env", "new", "--in_process")
    assert ran.returncode == 2
    assert "--env is 'new'" in ran.stderr


@pytest.mark.slow
def test_an_interrupt_ends_an_installation_and_leaves_nothing(machine):
    write_held(machine / "held")
    builds = machine / "builds"
    names = {"HELD_BUILDS": str(builds), "HELD_GO": str(machine / "go")}
    process = start(machine, requirements=f"{machine / 'held'}\n", **names)
    limit = time.monotonic() + 60
    while not builds.exists():
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    left = [each for each in (machine / "cache" / "environments").iterdir() if each.is_dir()]
    assert all((each / "qs-environment.json").exists() for each in left)
