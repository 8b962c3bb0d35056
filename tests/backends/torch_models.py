"""Small models as torch saves them, and the TORCH backend's classes, loaded the way the program
loads them. Imports torch: for tests that do too.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import torch

from qs.inside.loading import load_backend_class

TORCH = Path(__file__).resolve().parents[2] / "backends" / "TORCH"


class Linear(torch.nn.Module):
    """x @ w.T; w is fixed, [3, 4]."""

    def __init__(self, features: int = 4) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(features, 3, bias=False)
        weights = torch.arange(3 * features, dtype=torch.float32).reshape(3, features) / 10
        self.dense.weight = torch.nn.Parameter(weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x)


class Embedding(torch.nn.Module):
    """Rows of a table of eight, chosen by whole numbers, where a mask is set."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(8, 2)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        rows = self.table(ids)
        if mask is not None:
            rows = rows * mask.unsqueeze(-1)
        return rows


class Pair(NamedTuple):
    low: torch.Tensor
    high: torch.Tensor


class Two(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> Pair:
        return Pair(x - 1, x + 1)


class InPlace(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.add_(1) * 2


class OwnTypes(torch.nn.Module):
    """As traced models are that fix a type in their code: reduced weights alone do not fit it."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(x.to(torch.float32) * 2)


def scripted(module: torch.nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path


def configs_of(path: Path, batch_sizes: Any = (1, 4), answers: Any = None, **info: Any) -> dict:
    model_info = {
        "model": "linear",
        "model_path": str(path),
        "model_format": path.suffix.lstrip("."),
        "framework": "Pytorch",
        "model_precision": "FP32",
        "inputs": "x",
        "outputs": "y",
        "input_shape": {"x": [1, 4]},
        "input_type": "FLOAT32",
        "dataset_name": None,
        "max_batch_size": 16,
        **info,
    }
    workload = {"clients": 3, "iterations": 50, "batch_sizes": list(batch_sizes)}
    return {"workload": workload, "model_info": model_info, "interact_info": answers or {}}


def compiler() -> Any:
    return load_backend_class(TORCH, "TORCH", kind="compile")()


def runtime() -> Any:
    return load_backend_class(TORCH, "TORCH", kind="runtime")()


def part(name: str) -> Any:
    """One of the modules beside the backend's two."""
    package = type(compiler()).__module__.rpartition(".")[0]
    return importlib.import_module(f"{package}.{name}")


def loaded(configs: dict, batch_size: int = 1, **changes: Any) -> Any:
    """A runtime backend that has compiled and loaded that."""
    backend = runtime()
    backend.configs = compiler().compile(configs) | changes
    backend.workload, backend.model_info = configs["workload"], configs["model_info"]
    backend.load(batch_size)
    return backend
