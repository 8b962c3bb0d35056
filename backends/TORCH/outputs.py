"""What a model returns, as a flat list of tensors, and which of them are reported under which name.

A model may return a tensor, a tuple or list, a named tuple, a dict, a dataclass or something like
one (transformers' ModelOutput), and any of them in any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qs.contract.tools import UserError, bind_outputs, split_names
from qs.contract.torch_files import Doubt


def flat(raw: Any) -> list[Any]:
    """The tensors in it, in order."""
    if isinstance(raw, tuple) and all(hasattr(each, "dtype") for each in raw):
        return list(raw)
    return [tensor for _, tensor in named(raw)]


def named(raw: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(name, tensor) of each; "" where the model gives no name. What is None is left out."""
    import torch

    if isinstance(raw, torch.Tensor):
        yield name, raw
    elif isinstance(raw, Mapping):
        for key, value in raw.items():
            yield from named(value, _below(name, str(key)))
    elif dataclasses.is_dataclass(raw):
        for field in dataclasses.fields(raw):
            yield from named(getattr(raw, field.name), _below(name, field.name))
    elif isinstance(raw, (tuple, list)):
        keys: Sequence[str] = getattr(raw, "_fields", ())
        for at, value in enumerate(raw):
            own = keys[at] if keys else str(at) if name else ""
            yield from named(value, _below(name, own))
    elif raw is not None:
        raise UserError(
            f"the model returns a {type(raw).__name__}"
            f"{f' as {name}' if name else ''}; only tensors can be outputs"
        )


def picked(info: Mapping[str, Any], raw: Any) -> tuple[list[tuple[int, str]], list[str]]:
    """(place in `flat`, name in reports) of every output that is reported, and notes.

    By the model's own names where it has them, else by their places: the first of the model are
    those of the model info.
    """
    found = list(named(raw))
    if not found:
        raise UserError("the model returns no tensor")
    names = [name for name, _ in found]
    if all(names) and len(set(names)) == len(names):
        pairs, notes = bind_outputs(info, names)
        return [(names.index(name), reported) for name, reported in pairs], notes
    declared = split_names(info.get("outputs"))
    notes = []
    if declared and len(declared) != len(found):
        notes.append(
            Doubt(
                f"the model returns {len(found)} tensors without names; the model info names "
                f"{len(declared)} ({', '.join(declared)}): taken by their places"
            )
        )
    declared = declared[: len(found)] or [f"output_{at}" for at in range(len(found))]
    return list(enumerate(declared)), notes


def _below(name: str, key: str) -> str:
    return f"{name}.{key}" if name and key else name or key
