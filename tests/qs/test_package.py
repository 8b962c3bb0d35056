"""What `import qs` gives, and what it must not load."""

from __future__ import annotations

import subprocess
import sys

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
