"""The wheel carries everything: built as a release is, installed into an empty environment, run far
from the checkout.
"""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.test_own_names import crowd, evaluate, vendor

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


def data_files() -> list[Path]:
    """Files of the package that are no Python: templates, snippets, stubs, marks."""
    return [
        path.relative_to(ROOT)
        for path in sorted((ROOT / "qs").rglob("*"))
        if path.is_file() and path.suffix not in (".py", ".pyc") and "_workspace" not in path.parts
    ]


def test_every_file_of_the_package_is_named_for_the_wheel():
    """A folder without an `__init__.py` is no package: its files need patterns of their own."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    stated = dict(setup["options.package_data"].items())
    for path in data_files():
        package = next(each for each in path.parents if (ROOT / each / "__init__.py").is_file())
        patterns = f"{stated['*']}, {stated.get('.'.join(package.parts), '')}".split(",")
        inside = path.relative_to(package)
        named = [
            each
            for each in map(str.strip, patterns)
            if each and inside.match(each) and len(inside.parts) == each.count("/") + 1
        ]
        assert named, f"{path} is in no pattern of [options.package_data]"


@pytest.mark.slow
def test_the_wheel_holds_the_workspace_and_nothing_at_top_level(distributions):
    with zipfile.ZipFile(distributions[1]) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0].split("-")[0] for name in names} == {"qs", "quicksilver_perf"}
    workspace = {
        name.removeprefix("qs/_workspace/") for name in names if name.startswith("qs/_workspace/")
    }
    assert shipped() - workspace == set()
    assert {path.as_posix() for path in data_files()} <= names
    (script,) = (name for name in names if name.endswith(".pt"))
    assert script.endswith("model_zoo/digits/digits-cnn-torch-fp32.pt")
    assert not any(name.endswith(".pyc") or "large.onnx" in name for name in names)


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


def do(elsewhere: Path, *command: object, status: int = 0) -> str:
    """Standard output of a command that ends with `status`, run far from the checkout."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "QS_WORKSPACE", "MYPYPATH")
    }
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=elsewhere,
        env=env,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ran.returncode == status, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def environment(distributions, tmp_path_factory) -> Path:
    """A virtual environment that holds the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    uv, python = [sys.executable, "-m", "uv"], folder / "bin" / "python"
    do(folder.parent, *uv, "venv", "--python", sys.executable, folder)
    do(folder.parent, *uv, "pip", "install", "-q", "--python", python, distributions[1])
    do(folder.parent, *uv, "pip", "check", "--python", python)
    return folder


@pytest.mark.slow
def test_the_wheel_runs_in_an_empty_environment_from_any_folder(environment, tmp_path):
    program, elsewhere = environment / "bin" / "qs", tmp_path
    result = json.loads(
        do(elsewhere, program, "run", "--task", TASK, "--hardware_type", "CPU", "--json")
    )
    assert (result["Verdict"], result["Accuracy"]["Top-1"]) == (
        "VALID",
        pytest.approx(0.98667, abs=0.005),
    )
    assert all(str(environment) in place for place in result["Found In"].values())
    assert (elsewhere / "reports" / "CPU" / TASK / "result-fp32.json").is_file()
    code = (
        "import importlib.util as u; "
        "names = ('workloads', 'backends', 'model_zoo', 'datasets', 'engine'); "
        "print([name for name in names if u.find_spec(name)])"
    )
    assert do(elsewhere, environment / "bin" / "python", "-c", code).strip() == "[]"


@pytest.mark.slow
def test_names_are_their_owners_with_the_wheel_too(environment, tmp_path):
    """As in test_own_names.py, from the wheel."""
    python = environment / "bin" / "python"
    workspace = vendor(tmp_path / "workspace")
    crowd(tmp_path)
    assert TASK in do(tmp_path, python, "-m", "qs", "list", "tasks")
    evaluate(workspace, tmp_path, [str(python), "-m", "qs", "run"], {})


PROGRAM = """
from typing import assert_type

from qs import CompileBackend, RuntimeBackend
from qs.engine import ClosedLoop, Pool, RunPlan, RunResult, Stop, run

load, stop = ClosedLoop(clients=2, iterations=10), Stop(duration_s=1)
plan = RunPlan(load=load, stop=stop, pool=Pool("thread"))
result = run(plan, lambda sample: sample, samples=[1, 2])
assert_type(result, RunResult)
assert_type(result.queries_per_s, float)
assert_type(result.response.count, int)


class Compiler(CompileBackend):
    def version(self) -> str:
        return "1"
"""
WRONG = """
from qs.engine import ClosedLoop, RunPlan

RunPlan(load=ClosedLoop(clients="two"))
"""


@pytest.mark.slow
def test_a_users_program_is_type_checked_against_the_wheel(environment, tmp_path):
    (tmp_path / "right.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    check = [sys.executable, "-m", "mypy", "--strict", "--python-executable"]
    check.append(environment / "bin" / "python")
    assert "Success" in do(tmp_path, *check, "right.py")
    assert 'has incompatible type "str"' in do(tmp_path, *check, "wrong.py", status=1)
