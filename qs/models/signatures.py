"""Which input and output of a saved_model is which of the model info.

Published names are those of tensors (`input_ids:0`); a signature has names of its own
(`input_ids`), and tensors of the graph (`serving_default_input_ids:0`). Names are matched first:
exactly, then without what exporters add, then by their last part. The rest go by place among the
signature's names in alphabetical order, as published TensorFlow backends feed them, if types and
shapes allow it; a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import MOST_FAULTS, UserError
from qs.base.names import nearest
from qs.base.visible import one_line
from qs.tensors.generated import InputSpec, input_specs, split_names
from qs.tensors.onnx_io import BY_POSITION, Doubt
from qs.tensors.saved_model import SavedModel, Signature, Tensor

DEFAULT = "serving_default"
_SHOWN = 80


@dataclass(frozen=True)
class Place:
    """An input or output of the model info in the saved_model."""

    declared: str
    key: str | None
    """In the signature; None for a tensor of the graph that no signature gives out."""
    tensor: Tensor


@dataclass(frozen=True)
class Asked:
    """What is to be called, in the model info's order."""

    signature: str
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    notes: tuple[str, ...]


def match(saved: SavedModel, model_info: Mapping[str, Any], folder: Path) -> Asked:
    """UserError if there is no signature, if it is not known which of several is meant, or if one
    does not have what the model info names.
    """
    specs = input_specs(model_info)
    declared = [spec.name for spec in specs]
    outputs = split_names(model_info.get("outputs"))
    name = signature_of(saved, folder, declared, outputs)
    signature = saved.signatures[name]
    where = f"the signature {one_line(name, _SHOWN)!r} of {folder}"
    inputs, notes = _inputs(specs, signature, where)
    found, more = _outputs(outputs, saved, signature, where)
    return Asked(name, tuple(inputs), tuple(found), (*notes, *more))


def signature_of(
    saved: SavedModel, folder: Path, inputs: Sequence[str] = (), outputs: Sequence[str] = ()
) -> str:
    """The name of the signature that is meant, of several that which has these inputs and outputs.
    UserError where that is none or not just one.
    """
    names = list(saved.signatures)
    if not names:
        raise UserError(
            f"{folder} has no signature, so that nothing of it can be called: save it with "
            "tf.saved_model.save(model, folder, signatures=...)"
        )
    if DEFAULT in names or len(names) == 1:
        return DEFAULT if DEFAULT in names else names[0]

    def has_all(signature: Signature) -> bool:
        sides = (inputs, signature.inputs), (outputs, signature.outputs)
        return all(len(_by_name(wanted, there)) == len(wanted) for wanted, there in sides)

    able = [name for name in names if inputs and has_all(saved.signatures[name])]
    if len(able) == 1:
        return able[0]
    fits = f", and the model info's names fit {'several' if able else 'none'} of them"
    raise UserError(
        f"{folder} has the signatures {_listed(names)}, none of them called {DEFAULT}"
        f"{fits if inputs else ''}; save it with one"
    )


def _inputs(
    specs: Sequence[InputSpec], signature: Signature, where: str
) -> tuple[list[Place], list[str]]:
    there = signature.inputs
    declared = [spec.name for spec in specs]
    if len(specs) != len(there):
        raise UserError(
            f"{where} takes {len(there)} inputs ({_listed(there)}), but the model info names "
            f"{len(specs)}: {', '.join(declared)}; correct `inputs` in the model info"
        )
    pairs = _by_name(declared, there)
    rest = [key for key in there if key not in pairs.values()]
    notes: list[str] = []
    for spec in specs:
        key = pairs.get(spec.name)
        by_place = key is None
        if key is None:
            key = pairs[spec.name] = rest.pop(0)
        fault = _unfit(spec, there[key], by_place)
        if fault is not None:
            meant = nearest(spec.name, list(there)[:MOST_FAULTS])
            hint = f"; did you mean {meant!r}?" if by_place and meant else ""
            lacks = (
                f"has no input {spec.name!r}, only {_listed(there)}, and " if by_place else "has "
            )
            raise UserError(
                f"{where} {lacks}an input {key!r} that cannot take what the model info says of "
                f"{spec.name}: {fault}{hint}"
            )
        if by_place:
            notes.append(Doubt(f"input {spec.name} feeds the signature's {key} ({BY_POSITION})"))
    return [Place(name, pairs[name], there[pairs[name]]) for name in declared], notes


def _outputs(
    declared: Sequence[str], saved: SavedModel, signature: Signature, where: str
) -> tuple[list[Place], list[str]]:
    there = signature.outputs
    if not declared:
        return [Place(key, key, tensor) for key, tensor in there.items()], []
    pairs = _by_name(declared, there)
    missing = [name for name in declared if name not in pairs]
    # Any tensor of TensorFlow 1's graph can be asked for.
    inside = {name: _in_graph(name, saved) for name in missing}
    inside = {name: tensor for name, tensor in inside.items() if tensor is not None}
    missing = [name for name in missing if name not in inside]
    rest = [key for key in there if key not in pairs.values()]
    if missing and len(missing) != len(rest):
        meant = nearest(missing[0], list(there)[:MOST_FAULTS])
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise UserError(f"{where} has no output {missing[0]!r}, only {_listed(there)}{hint}")
    notes: list[str] = [
        Doubt(f"the signature's output {key} is {name} ({BY_POSITION})")
        for name, key in zip(missing, rest, strict=False)
    ]
    pairs |= dict(zip(missing, rest, strict=False))
    found = []
    for name in declared:
        tensor = inside.get(name)
        key = None if tensor is not None else pairs[name]
        found.append(Place(name, key, tensor if tensor is not None else there[pairs[name]]))
    return found, notes


def _in_graph(name: str, saved: SavedModel) -> Tensor | None:
    """The tensor of that name ("head/probabilities:0", or without the ":0")."""
    node, colon, number = name.rpartition(":")
    if not (colon and number.isdecimal()):
        node, number = name, "0"
    known = not saved.objects and node in saved.nodes
    return Tensor(f"{node}:{number}", "", None) if known else None


def _by_name(declared: Sequence[str], there: Mapping[str, Tensor]) -> dict[str, str]:
    """Declared name -> key, where the names say it; each key at most once."""
    pairs: dict[str, str] = {}
    for form in (str, _bare, _tail):
        free = [name for name in declared if name not in pairs]
        left = {key: there[key] for key in there if key not in pairs.values()}
        names = {key: _forms(key, tensor, form) for key, tensor in left.items()}
        for name in free:
            found = [key for key, forms in names.items() if form(name) in forms]
            rivals = [other for other in free if form(other) == form(name)]
            if len(found) == 1 and len(rivals) == 1 and found[0] not in pairs.values():
                pairs[name] = found[0]
    return pairs


def _forms(key: str, tensor: Tensor, form: Callable[[str], str]) -> set[str]:
    return {form(key), form(tensor.name)}


def _bare(name: str) -> str:
    """Without ":0", ".1" and the prefix of a placeholder that tf.saved_model.save makes."""
    bare = re.sub(r"[.:]\d+$", "", name.strip()).lower()
    return bare.removeprefix(f"{DEFAULT}_")


def _tail(name: str) -> str:
    return _bare(name).rpartition("/")[2]


def _unfit(spec: InputSpec, tensor: Tensor, strict: bool) -> str | None:
    """Why a tensor cannot take the input; `strict`: another type is a reason too, where no name
    says that it is meant.
    """
    if tensor.shape is not None:
        if len(tensor.shape) != len(spec.shape):
            return f"it has {len(tensor.shape)} dimensions, not {len(spec.shape)}"
        for at, (size, wanted) in enumerate(zip(tensor.shape, spec.shape, strict=True)):
            if size is not None and size != wanted:
                return f"its dimension {at} is {size}, not {wanted}"
    text, wanted_text = tensor.dtype == "str", spec.dtype.kind in "UO"
    if text != wanted_text or (strict and not text and _kind(tensor.dtype) != spec.dtype.kind):
        return f"it is {tensor.dtype}, not {'str' if wanted_text else spec.dtype}"
    return None


def _kind(dtype: str) -> str:
    try:
        return np.dtype(dtype).kind
    except TypeError:  # numpy has no bfloat16
        return "f"


def _listed(names: Iterable[str]) -> str:
    every = [one_line(name, _SHOWN) for name in names]
    more = f" and {len(every) - MOST_FAULTS} more" if len(every) > MOST_FAULTS else ""
    return (", ".join(every[:MOST_FAULTS]) or "none") + more
