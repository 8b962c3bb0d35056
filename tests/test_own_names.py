"""Names are their owners': files of users and vendors that are named like our own parts change
nothing.

Tried from an editable install and from a bare checkout (nothing of ours installed); the wheel's
turn is in test_packaging.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.qs import small_backend
from tests.qs.results import read_result

ROOT = Path(__file__).parents[1]
# Names that published folders use for modules of their own, and that our own parts have or had.
NAMES = ("engine", "utils", "tools", "config", "qs_config", "host", "plan", "report", "cli")
PREDICT = "\n".join(
    [
        "def predict(self, feeds):",
        *(f"    import {name}; assert {name}.OWNER == 'TINY', {name}.__file__" for name in NAMES),
        "    return {'logits': np.zeros((self.batch_size, 10), np.float32)}",
    ]
)


def crowd(folder: Path) -> Path:
    """A working directory full of names of ours, none of which may be imported."""
    for name in NAMES:
        (folder / f"{name}.py").write_text("raise ImportError('a file of the working directory')\n")
    (folder / "qs" / "base").mkdir(parents=True)
    (folder / "qs" / "notes.txt").write_text("a folder of the user's, no package")
    (folder / "qs" / "base" / "errors.py").write_text("raise ImportError('a file of the user')\n")
    return folder


def vendor(root: Path, pool: str = "thread") -> Path:
    """A backend that imports each of NAMES bare: as it is loaded, and in predict."""
    own = {f"{name}.py": "OWNER = 'TINY'\n" for name in NAMES}
    small_backend.write(root, {"pool": pool}, predict=PREDICT, helpers=own, clients=1)
    runtime = root / "backends" / "TINY" / "runtime_backend_tiny.py"
    runtime.write_text(f"import {', '.join(NAMES)}\n{runtime.read_text()}")
    return root


def sloppy(folder: Path) -> str:
    """Installed libraries whose top-level modules have the same names."""
    place = folder / "sloppy" / "site-packages"
    place.mkdir(parents=True)
    for name in NAMES:
        (place / f"{name}.py").write_text("OWNER = 'a library'\n")
    return str(place)


def bare(folder: Path) -> Path:
    """A checkout that is not installed: a copy, since the one of these tests may be."""
    ignored = shutil.ignore_patterns(".git", ".venv*", "build", "reports", "tests", "*_cache")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bare(tmp_path_factory.mktemp("bare") / "checkout")


def entries(checkout: Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """How the program is started: command and environment."""
    return {
        "editable": ([sys.executable, "-m", "qs"], {}),
        "bare, -m": ([sys.executable, "-m", "qs"], {"PYTHONPATH": str(checkout)}),
        "bare, launch.py": ([sys.executable, str(checkout / "launch.py")], {}),
        "bare, run.sh": (["sh", str(checkout / "run.sh")], {"PYTHON": sys.executable}),
    }


@pytest.mark.parametrize("entry", list(entries(Path())))
@pytest.mark.parametrize("clone", [False, True], ids=["a folder qs/", "a clone called qs/"])
def test_a_working_directory_full_of_our_names(
    tmp_path: Path, checkout: Path, entry: str, clone: bool
) -> None:
    if clone:
        (tmp_path / "qs").symlink_to(checkout)
    else:
        crowd(tmp_path)
    command, env = entries(checkout)[entry]
    listing = ["list", "tasks"] if command[1:] == ["-m", "qs"] else ["--show_task_list"]
    ran = run([*command, *listing], tmp_path, env)
    assert ran.returncode == 0, ran.stderr
    assert "digits-cnn-onnx-fp32" in ran.stdout


@pytest.mark.parametrize(
    ("entry", "more"),
    [
        pytest.param("editable", [], marks=pytest.mark.slow),
        pytest.param("editable", ["--in_process"], marks=pytest.mark.slow),
        pytest.param("bare, run.sh", ["--pool", "process"], marks=pytest.mark.slow),
    ],
    ids=["a child's threads", "our own process", "child processes"],
)
def test_a_vendors_bare_imports_are_its_own_in_every_kind_of_process(
    tmp_path: Path, checkout: Path, entry: str, more: list[str]
) -> None:
    workspace = vendor(tmp_path / "workspace")
    command, env = entries(checkout)[entry]
    paths = [env.get("PYTHONPATH", ""), sloppy(tmp_path)]
    env = env | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    verb = ["run"] if command[1:] == ["-m", "qs"] else []
    evaluate(workspace, crowd(tmp_path), [*command, *verb], env, *more)


@pytest.mark.slow
def test_a_checkout_as_the_working_directory_lends_a_vendor_nothing(
    checkout: Path, tmp_path: Path
) -> None:
    """Our folder `engine` lies on the path then; a vendor without an engine.py finds none."""
    predict = (
        "def predict(self, feeds):\n"
        "    try:\n        import engine\n"
        "    except ModuleNotFoundError:\n"
        "        return {'logits': np.zeros((self.batch_size, 10), np.float32)}\n"
        "    raise RuntimeError(f'ours: {engine.__file__}')\n"
    )
    workspace = small_backend.write(tmp_path / "workspace", {}, predict=predict, clients=1)
    for more in ([], ["--in_process"]):
        evaluate(workspace, checkout, [sys.executable, "-m", "qs", "run"], {}, *more)


def evaluate(
    workspace: Path, cwd: Path, command: list[str], env: dict[str, str], *more: str
) -> None:
    out = workspace / "reports"
    options = ["--task", small_backend.TASK, "--hardware_type", small_backend.HARDWARE]
    options += ["--workspace", str(workspace), "--out", str(out), "--no_input", "--quiet", *more]
    ran = run([*command, *options], cwd, env)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (row,) = read_result(next(out.rglob("result-*.json")))["Performance"]
    assert (row["Verdict"], row["Completed"]) == ("VALID", 4)


def run(command: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    given = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | env
    return subprocess.run(
        command, cwd=cwd, env=given, capture_output=True, text=True, timeout=120, check=False
    )
