"""Writes a new task: workload, model info and data set for the user's own model and data; all of
the files, or none.

The model is read in a process of ours, the data by the stock data set that will read it in a run:
what does not fit is said here, before anything is written.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qs.artifact.model_info import model_info_of
from qs.base.errors import Fault, Faults, UserError
from qs.base.files import write_atomic
from qs.base.names import check_plain
from qs.base.workspace import Found, Workspaces, roots_in
from qs.scaffold.data.arrays import SUFFIXES as ARRAYS
from qs.scaffold.data.arrays import plan_arrays
from qs.scaffold.data.pictures import names_pictures, plan_pictures
from qs.scaffold.data.plan import Asked, Described, Guess, Plan, existing, fault
from qs.scaffold.data.tables import SUFFIXES as TABLES
from qs.scaffold.data.tables import plan_table
from qs.scaffold.data.texts import SUFFIXES as TEXTS
from qs.scaffold.data.texts import plan_texts, takes_tokens
from qs.scaffold.data_set import data_set
from qs.scaffold.metrics import stated_metrics

KINDS: dict[str, Callable[[Asked, Described], Plan]] = {
    "arrays": plan_arrays,
    "pictures": plan_pictures,
    "table": plan_table,
    "text": plan_texts,
}
NAME = "letters, digits, '-' and '_', at most 60 of them, beginning with a letter or digit"
_NAME = re.compile(r"[^\W_][\w-]{0,59}")
_SIZES = (1, 8)  # of batches, where the model takes any
Describe = Callable[[Path, Mapping[str, Any]], Mapping[str, Any]]
"""A model's file, what is stated of it -> see qs.inside.artifact.ArtifactService.describe."""


@dataclass(frozen=True)
class Written:
    """What was written, and what a reader has to know."""

    paths: tuple[Path, ...]
    root: Path
    read: tuple[str, ...]
    """Lines on what the files say."""
    guesses: tuple[Guess, ...]
    notes: tuple[str, ...]


def write_task(asked: Asked, describe: Describe) -> Written:
    """Write the files of a task. UserError with everything that does not fit, before anything is
    written.
    """
    _check_name(asked.name)
    stated_metrics(asked)
    into = asked.into.resolve()
    root = (roots_in(into) or [into])[0]
    _refuse_known(asked.name, root, asked.force)
    asked = replace(asked, model=existing("--model", asked.model).absolute())
    if asked.data is not None:
        asked = replace(asked, data=existing("--data", asked.data))
    kind = _kind(asked)
    model = Described(describe(asked.model, _stated(asked, {}, probe=kind is None)))
    if kind == "table" and asked.kind is None and takes_tokens(model):
        kind = "text"
    plan = KINDS[kind](asked, model) if kind else None
    if plan is not None and any(map(model.is_open, model.names)):
        model = Described(describe(asked.model, _stated(asked, plan.shapes, probe=True)))
    info = _model_info(asked, model, root, plan)
    texts: dict[str, str] = {}
    read = [_read_of(model)]
    if plan is not None:
        texts, said = data_set(asked, plan, model, info, root)
        read.append(said)
    texts = {
        f"model_zoo/{asked.name}.json": _json(info),
        f"workloads/{asked.name}.json": _json(_workload(asked, model, plan)),
        **texts,
    }
    if plan is not None and asked.copy_data:
        _check_copies(plan)
    if asked.force:
        (root / "datasets" / asked.name / "test_accuracy.py").unlink(missing_ok=True)
    paths = _write(root, texts)
    if plan is not None and asked.copy_data:
        _copy(plan, root / "datasets" / asked.name)
    notes = [*model.raw["notes"], *(plan.notes if plan else ())]
    return Written(
        tuple(paths), root, tuple(read), tuple(plan.guesses if plan else ()), tuple(notes)
    )


def _check_name(name: str) -> None:
    check_plain(name, "task")
    if not _NAME.fullmatch(name):
        near = re.sub(r"[^\w-]+", "-", name).strip("-_")[:60]
        raise Faults([Fault("the task's name", "", name, NAME, nearest=near or None)])


def _refuse_known(name: str, root: Path, force: bool) -> None:
    """A second task, model or data set of the same name would hide the first, and its numbers be
    taken for those.
    """
    known: dict[str, dict[str, Found]] = {}
    workspaces = Workspaces.find()
    for what, found in (
        ("task", workspaces.list_tasks()),
        ("model", workspaces.list_models()),
        ("data set", workspaces.list_datasets()),
    ):
        known[what] = {each.casefold(): value for each, value in found.items()}
    for what, names in known.items():
        there = names.get(name.casefold())
        if there is not None and there.root != root:
            raise UserError(
                f"the {what} {there.name} already exists, at {there.path}; choose another name"
            )
    own = (f"workloads/{name}.json", f"model_zoo/{name}.json", f"datasets/{name}")
    found_here = [str(root / each) for each in own if (root / each).exists()]
    if found_here and not force:
        raise UserError(
            f"{', '.join(found_here)} already exist; choose another name, or write them anew with "
            "--force"
        )


def _kind(asked: Asked) -> str | None:
    """Of the data; None without any."""
    if asked.kind is not None and asked.kind not in KINDS:
        raise fault("--kind", asked.kind, ", ".join(KINDS))
    if asked.data is None and not asked.data_of:
        return None
    if asked.kind is not None:
        return asked.kind
    path = asked.data
    if path is None or path.suffix.lower() in ARRAYS:
        return "arrays"
    if path.is_dir():
        return "pictures"
    if path.suffix.lower() in TEXTS:
        return "text"
    if path.suffix.lower() in TABLES:
        return "pictures" if names_pictures(path, asked.delimiter) else "table"
    allowed = (
        ".npz or .npy arrays, a folder of pictures, a .csv list of pictures, a .jsonl of texts, "
        "a .csv table"
    )
    raise fault("--data", path, f"{allowed}; --kind states which ({', '.join(KINDS)})")


def _stated(asked: Asked, shapes: Mapping[str, Sequence[int]], probe: bool) -> dict[str, Any]:
    """What is stated of the model, as `ArtifactService.describe` takes it."""
    stated = {**shapes, **asked.shapes}
    return {
        "shapes": {name: list(shape) for name, shape in stated.items()},
        "types": dict(asked.types),
        "ranges": {},
        "states": {},
        "batch_sizes": list(asked.batch_sizes),
        "data": {},
        "batch_axis": list(asked.batch_axis),
        "fill": "random",
        "probe": probe,
    }


def _model_info(asked: Asked, model: Described, root: Path, plan: Plan | None) -> dict[str, Any]:
    raw = dict(model.raw)
    if asked.outputs:
        raw["outputs"] = list(asked.outputs)
    if not raw["outputs"]:
        raise fault("--outputs", "missing", "the names of the model's outputs: its file has none")
    info = model_info_of(raw, asked.name, Path(_near(asked.model, root)))
    info["dataset_name"] = asked.name if plan is not None else None
    info["max_batch_size"] = (raw.get("batch") or {}).get("only")
    if raw.get("opset"):
        info["opset"] = raw["opset"]
    return info


def _near(path: Path, root: Path) -> str:
    """Relative to the workspace if it lies in it: a workspace can then be moved."""
    path = path.absolute()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _read_of(model: Described) -> str:
    inputs = ", ".join(
        f"{each['name']} {each['type']} {list(each['shape'])}" for each in model.inputs
    )
    outputs = ", ".join(model.raw["outputs"])
    batch = (model.raw.get("batch") or {}).get("words", "")
    opset = f", opset {model.raw['opset']}" if model.raw.get("opset") else ""
    return f"the model takes {inputs} and answers {outputs}{opset}; batch: {batch}"


def _workload(asked: Asked, model: Described, plan: Plan | None) -> dict[str, Any]:
    only = (model.raw.get("batch") or {}).get("only")
    sizes = list(asked.batch_sizes) or ([only] if only else list(_SIZES))
    return {
        "model": asked.name,
        "test_perf": True,
        "test_accuracy": plan is not None and plan.has_labels,
        "test_numeric": True,
        "batch_sizes": sizes,
        "data_percent": 100,
    }


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=4, ensure_ascii=False) + "\n"


def _write(root: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write the files; what was not there before is removed again if one cannot be written."""
    new: list[Path] = []
    try:
        for name, text in texts.items():
            path = root / name
            new += [each for each in (path, *path.parents) if not each.exists()]
            write_atomic(path, text.encode())
    except (OSError, UserError) as error:
        for path in sorted(set(new), key=lambda each: -len(each.parts)):
            try:
                path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
            except OSError:
                pass
        raise UserError(f"the task cannot be written: {error}") from None
    return [root / name for name in texts]


def _check_copies(plan: Plan) -> None:
    names = [path.name for path in plan.places.values()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise fault("--copy_data", twice[0], "files with names of their own: two are called so")


def _copy(plan: Plan, folder: Path) -> None:
    try:
        for path in plan.places.values():
            if path.is_relative_to(folder):
                continue
            if path.is_dir():
                shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
            else:
                shutil.copyfile(path, folder / path.name)
    except (OSError, shutil.Error) as error:
        raise UserError(f"--copy_data: {error}") from None
