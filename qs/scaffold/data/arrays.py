"""Arrays: an .npz archive, or a .npy file for each input."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.base.names import nearest
from qs.contract.array_items import Array
from qs.scaffold.data.plan import (
    LABEL_NAMES,
    Asked,
    Described,
    Guess,
    Key,
    Plan,
    classes_key,
    existing,
    fault,
)
from qs.tensors.npy import npy_shape, npz_shapes

SUFFIXES = (".npz", ".npy")


def plan_arrays(asked: Asked, model: Described) -> Plan:
    """What ArrayItems states of these files. Faults for inputs without an array."""
    plan = Plan("ArrayItems")
    archive = _archive(asked)
    shapes = {} if archive is None else npz_shapes(archive)
    inputs, found = {}, {}
    labels = _labels(asked, plan, archive, list(shapes), model.names)
    for name in model.names:
        inputs[name], found[name] = _input(asked, plan, archive, shapes, labels, name, model.names)
    plan.keys["INPUTS"] = Key(inputs, "input of the model: its array [items, ...]")
    plan.keys["LABELS"] = Key(labels, "the array with the label of each item")
    plan.has_labels = labels is not None
    classes_key(asked, plan)
    for name, shape in found.items():
        if model.is_open(name) and len(shape) - 1 == len(model.item_shape(name)):
            plan.shapes[name] = model.whole_shape(name, shape[1:])
    _normalised(asked, plan, model)
    return plan


def _archive(asked: Asked) -> Path | None:
    return asked.data if asked.data is not None and asked.data.suffix == ".npz" else None


def _labels(
    asked: Asked, plan: Plan, archive: Path | None, names: list[str], inputs: list[str]
) -> Array | None:
    if asked.labels is None:
        free = [name for name in names if name not in inputs]
        known = [name for name in LABEL_NAMES if name in free]
        if archive is None or not known:
            return None
        if known[0] not in ("label", "labels"):
            plan.guesses.append(Guess(f"the labels are the array {known[0]}", "--labels"))
        return (plan.place(archive), known[0])
    if archive is not None and asked.labels in names:
        return (plan.place(archive), asked.labels)
    path = Path(asked.labels)
    if path.suffix == ".npy":
        return plan.place(existing("--labels", path))
    allowed = f"one of {', '.join(names)}, or a .npy file" if names else "a .npy file"
    near = nearest(asked.labels, names)
    hint = f"did you mean {near!r}?" if near else None
    raise fault("--labels", asked.labels, allowed, hint)


def _input(
    asked: Asked,
    plan: Plan,
    archive: Path | None,
    shapes: dict[str, tuple[int, ...]],
    labels: Array | None,
    name: str,
    inputs: list[str],
) -> tuple[Array, tuple[int, ...]]:
    """(An input's array, its shape)."""
    if archive is not None:
        label = labels[1] if isinstance(labels, tuple) else None
        free = [each for each in shapes if each != label and each not in inputs]
        if name not in shapes and len(inputs) == 1 and len(free) == 1:
            plan.guesses.append(
                Guess(f"{name} is fed the array {free[0]}", "INPUTS in data_loader.py")
            )
            return (plan.place(archive), free[0]), shapes[free[0]]
        if name not in shapes:
            allowed = f"an archive with arrays named as the inputs: {', '.join(inputs)}"
            raise fault("--data", archive, allowed, f"it has {', '.join(shapes) or 'no arrays'}")
        return (plan.place(archive), name), shapes[name]
    path = asked.data_of.get(name, asked.data if len(inputs) == 1 else None)
    if path is None:
        raise fault("--data", "missing", f"a file for the input {name}, such as {name}=values.npy")
    path = existing("--data", path)
    if path.suffix == ".npy":
        return plan.place(path), npy_shape(path)
    if path.suffix != ".npz":
        raise fault("--data", f"{name}={path}", "a .npy or .npz file")
    inside = npz_shapes(path)
    chosen = name if name in inside else next(iter(inside)) if len(inside) == 1 else None
    if chosen is None:
        allowed = f"an archive with one array, or one named {name}"
        raise fault("--data", f"{name}={path}", allowed, f"it has {', '.join(inside)}")
    return (plan.place(path), chosen), inside[chosen]


def _normalised(asked: Asked, plan: Plan, model: Described) -> None:
    """What is done to the values: of the first input alone, unless the user edits it."""
    first = model.inputs[0]
    name = first["name"]
    given = {"SCALE": asked.scale, "MEAN": asked.mean, "STD": asked.std}
    says = {
        "SCALE": "input: what its values are multiplied by first",
        "MEAN": "input: what is then subtracted, a number or one a channel",
        "STD": "input: what that is then divided by",
    }
    for key, value in given.items():
        if value is not None:
            value = float(value) if np.ndim(value) == 0 else _one_or_many(list(value))  # type: ignore[arg-type]
        plan.keys[key] = Key({} if value is None else {name: value}, says[key])
    if first["type"].startswith("FLOAT") and all(value is None for value in given.values()):
        plan.guesses.append(Guess("the values are fed as they are", "--scale, --mean, --std"))


def _one_or_many(values: list[float]) -> float | list[float]:
    return values[0] if len(values) == 1 else values
