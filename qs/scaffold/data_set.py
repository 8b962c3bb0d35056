"""The files of a new data set: what the keys make is read and its first item fed, before anything
is written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from qs import contract
from qs.base.errors import UserError
from qs.base.words import counted
from qs.contract.labelled_items import LabelledItems
from qs.contract.metric_checker import labels_of
from qs.scaffold.data.plan import Asked, Described, Guess, Key, Plan
from qs.scaffold.data.published import class_names
from qs.scaffold.literals import assignment
from qs.scaffold.metrics import columns_of, plan_metrics

# Keys of the stock data sets that a command line states.
OPTIONS = {
    "MISSING": "--missing",
    "CODES": "--codes",
    "CLASSES": "--classes",
    "LABELS_ARE": "--metric",
    "LAYOUT": "--layout",
    "CHANNELS": "--channels",
    "RESIZE": "--resize",
    "INPUTS": "--columns",
}
SHORT_LIST = 12  # names of classes that stand in data_loader.py; more have a file


def data_set(
    asked: Asked, plan: Plan, model: Described, info: Mapping[str, Any], root: Path
) -> tuple[dict[str, str], str]:
    """(The data set's files by their path in the workspace, a line on what it holds). UserError for
    data that cannot be read, or does not fit the model.
    """
    folder = root / "datasets" / asked.name
    trial = _trial(plan, info, folder)
    checker: dict[str, Key] = {}
    if plan.has_labels:
        checker = plan_metrics(asked, plan, model, trial.raw_labels)
        kind = labels_of(checker["METRICS"].value)
        plan.keys = {**plan.keys, "LABELS_ARE": Key(kind, "classes or numbers")}
        if kind == "classes" and "CLASSES" not in plan.keys:
            _published_classes(asked, plan, trial.raw_labels)
        trial = _trial(plan, info, folder)
        _classes(plan, trial)
        if kind == "classes" and trial.classes is None:
            first = _first_label(plan, model, trial, checker)
            plan.keys["FIRST_LABEL"] = Key(first, "the number of the first class in the data")
    trial.feeds(trial.get_id(0))
    summary = f"The data of {asked.name}: {counted(trial.items, 'item')}"
    if trial.targets is not None and plan.keys["LABELS_ARE"].value == "classes":
        count = len(trial.classes or set(trial.targets.tolist()))
        summary += f" in {count:,} classes"
    keys = {
        name: Key(_settled(key.value, plan, folder, root, asked.copy_data), key.says)
        for name, key in plan.keys.items()
    }
    texts = {
        "data_loader.py": _filled(
            "data_loader.py.txt", summary=f"{summary}.", base=plan.base, keys=_lines(keys)
        ),
        **plan.files,
    }
    if checker:
        texts["test_accuracy.py"] = _filled(
            "test_accuracy.py.txt", name=asked.name, keys=_lines(checker)
        )
    return {f"datasets/{asked.name}/{name}": text for name, text in texts.items()}, summary


def _trial(plan: Plan, info: Mapping[str, Any], folder: Path) -> Any:
    """The data set that the keys make, read. UserError for what cannot be, with the options that
    state the keys that it names.
    """
    base = getattr(contract, plan.base)
    before_kind = "LABELS_ARE" not in plan.keys

    def take(self: Any, items: int, labels: Any, where: str) -> None:
        self.raw_labels = labels
        LabelledItems.take(self, items, None if before_kind else labels, where)

    values = {name: key.value for name, key in plan.keys.items()}
    for name, text in plan.files.items():  # not written yet
        for key, value in values.items():
            if value == name:
                values[key] = json.loads(text) if name.endswith(".json") else text.splitlines()
    made = type("DataLoader", (base,), {**values, "FOLDER": folder, "take": take})
    trial = made(dict(info))
    try:
        trial.preprocess()
    except UserError as error:
        named = [flag for key, flag in OPTIONS.items() if re.search(rf"\b{key}\b", str(error))]
        raise UserError(f"{error}; here: {', '.join(named)}" if named else str(error)) from None
    return trial


def _first_label(plan: Plan, model: Described, trial: Any, checker: Mapping[str, Key]) -> int:
    """1 if the labels count the classes of the scored output from there."""
    tensors = {each["name"]: each for each in model.raw.get("output_tensors") or ()}
    classes = columns_of(tensors.get(checker["OUTPUT"].value) or {})
    if trial.targets.min() != 1 or trial.targets.max() != classes:
        return 0
    plan.guesses.append(Guess("the labels begin at 1", "FIRST_LABEL in data_loader.py"))
    return 1


def _published_classes(asked: Asked, plan: Plan, labels: Any) -> None:
    """The order that the model's config.json states, if the labels are names in it."""
    names = class_names(asked.model)
    if names is None or not set(map(str, np.asarray(labels).ravel().tolist())) <= set(names):
        return
    plan.guesses.append(Guess("the classes are numbered as config.json has them", "--classes"))
    _state_classes(plan, list(names))


def _classes(plan: Plan, trial: Any) -> None:
    """The names of the classes stand in the data set, so that a folder more or less does not number
    them anew.
    """
    if trial.classes is None or "CLASSES" in plan.keys:
        return
    names = list(trial.classes)
    plan.guesses.append(
        Guess(f"the classes are numbered as sorted: {', '.join(names[:4])} ...", "--classes")
        if len(names) > 4
        else Guess(f"the classes are numbered as sorted: {', '.join(names)}", "--classes")
    )
    _state_classes(plan, names)


def _state_classes(plan: Plan, names: list[str]) -> None:
    says = "in the order of the model's scores; or a file with a name a line"
    if len(names) <= SHORT_LIST:
        plan.keys["CLASSES"] = Key(names, says)
    else:
        plan.keys["CLASSES"] = Key("classes.txt", says)
        plan.files["classes.txt"] = "".join(f"{name}\n" for name in names)


def _settled(value: Any, plan: Plan, folder: Path, root: Path, copied: bool) -> Any:
    """A key's value with the places of files as the data set will state them."""
    if isinstance(value, str) and value in plan.places:
        path = plan.places[value]
        if copied and not path.is_relative_to(folder):
            return path.name
        return os.path.relpath(path, folder) if path.is_relative_to(root) else str(path)
    if isinstance(value, Mapping):
        return {key: _settled(each, plan, folder, root, copied) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_settled(each, plan, folder, root, copied) for each in value)
    return value


def _lines(keys: Mapping[str, Key]) -> str:
    lines = []
    for name, key in keys.items():
        lines += [f"    # {key.says}"] if key.says else []
        lines.append(assignment(name, key.value, "    "))
    return "\n".join(lines).strip()


def _filled(template: str, **words: str) -> str:
    source = (files("qs.scaffold.templates") / template).read_text("utf-8")
    return Template(source).substitute(words)
