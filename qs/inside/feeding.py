"""What the inputs of a model file are going to be fed, as far as the file alone can tell: shapes of
the user's own items, ranges that a type keeps, BOOLs that choose a branch, and feeds for a trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from qs.artifact import model_info_of
from qs.artifact.inputs import Input, unknown_input
from qs.artifact.item_files import FLAG
from qs.artifact.sides import shown as declared_shape
from qs.artifact.user_data import advice, item_shape, read_items
from qs.base.errors import Fault, Faults, UserError
from qs.base.names import as_typed
from qs.inside.samples import GivenItems
from qs.inside.trying import Runs, ValueFault
from qs.tensors.generated import NUMPY_TYPES, InputSpec, input_specs, is_switch, numpy_dtype
from qs.tensors.onnx_graph import conditions
from qs.tensors.ranges import range_fault, whole_ends
from qs.tensors.trials import culprits, shown

FALSE = (0, 0)  # a range of one value


def check(asked: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> None:
    """Raises Faults for names that are no inputs, for data that is not there, and for types and
    ranges that an input does not have.
    """
    types = {each["name"]: each["type"] for each in inputs}
    faults = [
        unknown_input(flag, name, list(types))
        for flag, given in (("--range", asked.get("ranges")), (FLAG, asked.get("data")))
        for name in given or {}
        if name not in types
    ]
    for name, stated in (asked.get("types") or {}).items():
        if name not in types:
            faults.append(unknown_input("--type", name, list(types)))
        elif stated in NUMPY_TYPES and numpy_dtype(stated) != numpy_dtype(types[name]):
            allowed = f"{types[name]}, as the artifact declares it"
            faults.append(Fault(f"--type {name}", "", stated, allowed))
    faults += [
        Fault(f"{FLAG} {name}", "", path, "an existing file or folder")
        for name, path in (asked.get("data") or {}).items()
        if not Path(path).exists()
    ]
    for name, bounds in (asked.get("ranges") or {}).items():
        if name not in types:
            continue
        fault = range_fault(numpy_dtype(types[name]), types[name], bounds)
        if fault:
            faults.append(Fault(f"--range {name}", "", ",".join(map(str, bounds)), fault))
    if faults:
        raise Faults(faults)


def named(data: Mapping[str, str] | None, inputs: Sequence[str]) -> dict[str, str]:
    """Input -> its file, where a file without a name is that of the one input. Faults if there are
    several.
    """
    given = dict(data or {})
    if "" not in given:
        return given
    if len(inputs) != 1 or len(given) > 1:
        allowed = f"input={given['']} for one of the inputs: {', '.join(inputs)}"
        raise Faults([Fault(FLAG, "", given[""], allowed)])
    return {inputs[0]: given[""]}


def notes(asked: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """How flags that meet in one model are settled, and ranges that leave a BOOL one value."""
    ranges = asked.get("ranges") or {}
    said = []
    if asked.get("fill") == "zeros" and ranges:
        names = ", ".join(ranges)
        said.append(f"--fill zeros: {names} is drawn from its --range all the same")
    for each in inputs:
        bounds = ranges.get(each["name"]) if each["type"] == "BOOL" else None
        first, last = whole_ends(tuple(bounds)) if bounds else (0, 1)
        if first == last:
            value = "true" if first else "false"
            said.append(f"{each['name']} is {value} in every query, by its --range; 0,2 is both")
    return said


def unclaimed(pairs: Mapping[str, str], asked: Mapping[str, Any]) -> dict[str, str]:
    """States that nobody feeds otherwise: an input with own items or a range is fed those."""
    given = {*(asked.get("ranges") or ()), *(asked.get("data") or ())}
    return {name: output for name, output in pairs.items() if name not in given}


def data_shapes(asked: Mapping[str, Any], inputs: Sequence[Input]) -> dict[str, tuple[int, ...]]:
    """The shapes at batch size 1 that own items give to inputs with guessed dimensions."""
    found = {}
    for position, each in enumerate(inputs):
        path = (asked.get("data") or {}).get(each.name)
        if path is not None and each.guessed:
            shape = item_shape(_spec(each), each.declared, Path(path), position)
            if shape is not None:
                found[each.name] = shape
    return found


def with_switches(
    inputs: Sequence[Input], graph: Any, asked: Mapping[str, Any]
) -> tuple[list[Input], list[str]]:
    """(Inputs, notes): BOOLs that choose a branch get one value for the whole run, false, unless
    the user gives one. `graph` is the file's GraphProto, None for other formats.
    """
    given = {*(asked.get("ranges") or ()), *(asked.get("data") or ())}
    chooses = conditions(graph) if graph is not None else set()
    found, said = [], []
    for each in inputs:
        single = int(np.prod(each.shape, dtype=np.int64)) == 1
        fixed = single and all(isinstance(size, int) for size in each.declared)
        if each.type == "BOOL" and each.name not in given:
            if is_switch(_spec(each)) or fixed or (single and each.name in chooses):
                each = replace(each, range=FALSE)
                feeds_true = as_typed("--range", each.name, "1,1")
                said.append(f"{each.name} is false in every query: {feeds_true} makes it true")
        found.append(each)
    return found, said


def trial_feeds(
    inputs: Sequence[Input], asked: Mapping[str, Any], states: Mapping[str, str], batch_size: int
) -> dict[str, np.ndarray]:
    """The first batch of what a run would be fed. Raises Faults if own items do not fit."""
    arrays = {}
    for position, each in enumerate(inputs):
        path = (asked.get("data") or {}).get(each.name)
        if path is not None:
            with of_a_guess(each.shape, each.guessed, each.declared):
                arrays[each.name] = read_items(_spec(each), Path(path), position, most=batch_size)
    ranges = asked.get("ranges") or {}
    stated = [
        replace(each, range=tuple(ranges[each.name])) if each.name in ranges else each
        for each in inputs
    ]
    given = {"states": dict(states), "fill": asked.get("fill"), "ranged": list(ranges)}
    return GivenItems(_info(stated), given, seed=0, arrays=arrays).feeds(0, batch_size)


@contextmanager
def of_a_guess(
    shape: Sequence[int], guessed: Sequence[int], declared: Sequence[Any]
) -> Iterator[None]:
    """Own items that do not fit a shape that nobody stated: the error says that it is a guess."""
    try:
        yield
    except Faults as error:
        if not guessed:
            raise
        hint = f"{list(shape)} is a guess for {declared_shape(declared)}; --shape states it"
        raise Faults(
            replace(fault, hint=f"{fault.hint}; {hint}" if fault.hint else hint)
            for fault in error.faults
        ) from None


def given(asked: Mapping[str, Any], inputs: Sequence[Input]) -> set[str]:
    """The inputs whose values are not ours to choose."""
    named = {*(asked.get("ranges") or ()), *(asked.get("data") or ())}
    return named | ({each.name for each in inputs} if asked.get("fill") == "zeros" else set())


def values_refused(
    session: Runs, fault: ValueFault, asked: Mapping[str, Any], what: str
) -> UserError:
    """The error where it is the values and not the shapes that a model does not take."""
    feeds = dict(fault.feeds)
    names = culprits(session.run, feeds)
    if not names:
        return UserError(
            f"{what} takes the shapes with zeros, but not with the values that they are fed; state "
            f"others with --range or --data. {session.name} said: {fault.said}"
        )
    own = asked.get("data") or {}
    parts = [
        f"{name} was fed {shown(feeds[name])} "
        + (f"({FLAG} {own[name]})" if name in own else f"(generated; {advice(name)})")
        for name in names
    ]
    return UserError(
        f"{what} takes the shapes, but not the values: {'; '.join(parts)}. "
        f"{session.name} said: {fault.said}"
    )


def _info(inputs: Sequence[Input]) -> dict[str, Any]:
    described = {
        "inputs": [asdict(each) for each in inputs],
        "outputs": [],
        "format": "onnx",
        "precision": "FP32",
    }
    return model_info_of(described, "try", Path("try.onnx"))


def _spec(each: Input) -> InputSpec:
    (spec,) = input_specs(_info([each]))
    return spec
