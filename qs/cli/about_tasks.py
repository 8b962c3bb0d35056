"""What `qs list tasks` says of each task, from its files alone: nothing is resolved,
nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base import jsonc
from qs.base.errors import UserError
from qs.base.workspace import Workspaces

_CODE = {".py", ".json", ".md", ".txt", ".pyc"}  # beside the data of a data set
COLUMNS = ("TASK", "PRECISION", "FRAMEWORK", "PARAMETERS", "WEIGHTS", "DATA SET", "DATA")


@dataclass(frozen=True)
class About:
    """weights  "shipped", "downloaded", "yours or random", or "yours"
    data     "shipped", "downloaded", "yours", or "generated"
    """

    precision: str | None
    framework: str | None
    parameters: int | None
    dataset: str | None
    weights: str
    data: str


def about_tasks(workspaces: Workspaces) -> dict[str, About | None]:
    """Task -> what is known of it; None where its files cannot be read."""
    models = workspaces.list_models()
    datasets = workspaces.list_datasets()
    found: dict[str, About | None] = {}
    for name, task in workspaces.list_tasks().items():
        workload = _read(task.path)
        model = str(workload.get("model") or workload.get("name") or name)
        info = _read(models[model].path) if model in models else {}
        if not info:
            found[name] = None
            continue
        dataset = info.get("dataset_name")
        dataset = dataset if isinstance(dataset, str) and dataset else None
        folder = datasets[dataset].path if dataset in datasets else None
        parameters = info.get("parameters")
        found[name] = About(
            precision=_word(info.get("model_precision", "FP32")),
            framework=_word(info.get("framework")),
            parameters=parameters if type(parameters) is int else None,
            dataset=dataset,
            weights=_weights(info, workspaces.roots),
            data="generated" if dataset is None else _data(folder),
        )
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = jsonc.read(path)
    except UserError:
        return {}
    return content if isinstance(content, dict) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _weights(info: Mapping[str, Any], roots: tuple[Path, ...]) -> str:
    stated = info.get("model_path")
    if isinstance(stated, str) and "\0" not in stated:
        if any((root / stated).exists() for root in roots):
            return "shipped"
    kinds = set(_kinds(info.get("sources")))
    if kinds & {"url", "pypi"}:
        return "downloaded"
    return "yours or random" if "build" in kinds else "yours"


def _data(folder: Path | None) -> str:
    if folder is None:
        return "yours"
    if set(_kinds(_read(folder / "sources.json").get("files"))) & {"url", "pypi"}:
        return "downloaded"
    own = any(file.is_file() and file.suffix not in _CODE for file in folder.rglob("*"))
    return "shipped" if own else "yours"


def _kinds(stated: Any, depth: int = 0) -> Iterator[str]:
    """The kinds of all sources, those of a build's files too."""
    if depth > 8:
        return
    if isinstance(stated, dict):
        kind = stated.get("kind")
        if isinstance(kind, str):
            yield kind
        for key, value in stated.items():
            if key != "kwargs":
                yield from _kinds(value, depth + 1)
    elif isinstance(stated, list):
        for value in stated:
            yield from _kinds(value, depth + 1)
