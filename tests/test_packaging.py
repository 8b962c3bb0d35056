"""The wheel carries everything: built as a release is, installed into an empty environment, run far
from the checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("workloads", "backends", "model_zoo", "datasets")
TASK = "digits-cnn-onnx-fp32"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the checkout, with things in it that must not be published."""
    copied = tmp_path_factory.mktemp("packaging") / "checkout"
    left_out = shutil.ignore_patterns(
        ".git", ".venv*", "build", "dist", "reports", "*.egg-info", "__pycache__", ".*_cache"
    )
    shutil.copytree(ROOT, copied, ignore=left_out)
    (copied / "model_zoo" / "mine.pt").write_bytes(b"weights")
    (copied / "model_zoo" / "large.onnx").write_bytes(bytes(11 * 2**20))
    (copied / "backends" / "CPU" / "__pycache__").mkdir(exist_ok=True)
    (copied / "backends" / "CPU" / "__pycache__" / "x.pyc").write_bytes(b"")
    return copied


@pytest.fixture(scope="module")
def distributions(checkout) -> tuple[Path, Path]:
    """(sdist, wheel); the wheel is built from the sdist, as `python -m build` does."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-m", "build", "-o", checkout / "dist", checkout],
        env=env,
        check=True,
        capture_output=True,
    )
    (sdist,), (wheel,) = (checkout / "dist").glob("*.tar.gz"), (checkout / "dist").glob("*.whl")
    return sdist, wheel


def shipped() -> set[str]:
    """What git knows of the four folders, or what lies in them where there is no git."""
    listed = subprocess.run(
        ["git", "ls-files", *FOLDERS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        return set(listed.stdout.split())
    return {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_the_wheel_holds_the_workspace_and_nothing_at_top_level(distributions):
    with zipfile.ZipFile(distributions[1]) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"qs", "quicksilver_perf"}
    workspace = {
        name.removeprefix("qs/_workspace/") for name in names if name.startswith("qs/_workspace/")
    }
    assert shipped() - workspace == set()
    assert not any(name.endswith((".pt", ".pyc")) or "large.onnx" in name for name in names)


@pytest.mark.slow
def test_the_sdist_holds_what_the_wheel_needs(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert shipped() - names == set()
    assert {
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
    } <= names


@pytest.mark.slow
def test_the_wheel_runs_in_an_empty_environment_from_any_folder(distributions, tmp_path):
    environment, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "QS_WORKSPACE")
    }

    def do(*command: object) -> str:
        ran = subprocess.run(
            [str(part) for part in command],
            cwd=elsewhere,
            env=env,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    do(sys.executable, "-m", "venv", environment)
    do(environment / "bin" / "python", "-m", "pip", "install", "-q", distributions[1])
    do(environment / "bin" / "python", "-m", "pip", "check")
    result = json.loads(
        do(environment / "bin" / "qs", "run", "--task", TASK, "--hardware_type", "CPU", "--json")
    )
    assert (result["Verdict"], result["Accuracy"]["Top-1"]) == (
        "VALID",
        pytest.approx(0.98667, abs=0.005),
    )
    assert all(str(environment) in place for place in result["Found In"].values())
    assert (elsewhere / "reports" / "CPU" / TASK / "result-fp32.json").is_file()
    code = "import importlib.util as u; print([n for n in ('workloads', 'backends', 'model_zoo', 'datasets') if u.find_spec(n)])"
    assert do(environment / "bin" / "python", "-c", code).strip() == "[]"
