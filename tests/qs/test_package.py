"""What `import qs` gives, and what it must not load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import qs
from qs.contract import compile_backend, data_loader, runtime_backend, test_accuracy


def test_the_contract_stands_in_the_package() -> None:
    assert qs.CompileBackend is compile_backend.CompileBackend
    assert qs.RuntimeBackend is runtime_backend.RuntimeBackend
    assert qs.Dataset is data_loader.Dataset
    assert qs.AccuracyChecker is test_accuracy.AccuracyChecker
    assert set(qs.__all__) <= set(dir(qs))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Backend'"):
        _ = qs.Backend


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("qs", ["numpy", "pydantic", "click", "rich", "qs.engine", "onnxruntime"]),
        ("qs.base.workspace", ["numpy", "pydantic"]),
        ("qs.config.task", ["numpy", "onnxruntime", "qs.engine"]),
        # A backend's own environment may hold numpy and nothing else of ours.
        (
            "qs.contract.test_accuracy, qs.contract.data_loader, qs.inside.loading, "
            "qs.tensors.generated, qs.tensors.numeric",
            [
                "pydantic",
                "click",
                "rich",
                "onnxruntime",
                "matplotlib",
                "platformdirs",
                "qs.engine",
            ],
        ),
    ],
)
def test_importing_loads_nothing_heavy(module: str, unwanted: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_onnxruntime_writes_nothing_through_a_link_in_the_temporary_folder(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("kept")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    (temporary / ".ses").symlink_to(theirs)
    unset = ("ORT_DISABLE_TELEMETRY", "CI", "GITHUB_ACTIONS", "TF_BUILD")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    code = "import qs, onnxruntime, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**kept, "TMPDIR": str(temporary)},
    )
    assert done.stdout.strip() == "1"
    assert theirs.read_text() == "kept"
    assert [each.name for each in temporary.iterdir()] == [".ses"]
