"""A served model's inputs and outputs, matched with those that a model info names; as a model
file's are (qs.tensors.onnx_io).

What a server does not say of its model is taken to be as the model info says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.remote.protocol import ServedModel, ServedTensor
from qs.tensors.generated import input_specs, split_names
from qs.tensors.onnx_io import Doubt, Fed, FileTensor, batch_fault, bind_inputs, bind_outputs

_TYPES = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "bool": "tensor(bool)",
}
SIDE = "server"


@dataclass(frozen=True)
class Bound:
    """Which of the model info's tensors is which of the server's."""

    inputs: tuple[Fed, ...]
    # (the server's name, the model info's)
    outputs: tuple[tuple[str, str], ...]
    # sentences; those that are `Doubt`s are warnings of the run
    notes: tuple[str, ...]
    # the model info's outputs, by which those of a server that does not say its own go, in order
    wanted: tuple[str, ...] = ()

    def feeds(self, data: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """A batch under the server's names and in its types."""
        found = {}
        for fed in self.inputs:
            array = np.asarray(data[fed.declared])
            kind = fed.dtype
            found[fed.file] = (
                array if array.dtype == kind or kind.kind == "O" else array.astype(kind)
            )
        return found

    def named(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs under the model info's names, without those that it does not name. LookupError
        with a sentence if one is missing.
        """
        if not self.outputs:
            if len(outputs) != len(self.wanted):
                return dict(outputs)
            return dict(zip(self.wanted, outputs.values()))
        missing = [name for name, _ in self.outputs if name not in outputs]
        if missing:
            given = ", ".join(outputs) or "none"
            raise LookupError(f"the answer has no output {', '.join(missing)}; it has {given}")
        return {reported: outputs[name] for name, reported in self.outputs}


def bind(served: ServedModel, model_info: Mapping[str, Any], where: str) -> Bound:
    """Match them. UserError, with both sides, if the server cannot be fed what the model info
    describes; `where` is the address.
    """
    name = f"the model {served.name} at {where}" if served.name else f"the model at {where}"
    specs = input_specs(model_info)
    declared = {spec.name for spec in specs}
    taken = [each for each in served.inputs if each.name in declared or not each.optional]
    if taken:
        inputs, notes = bind_inputs(model_info, [_tensor(each) for each in taken], name, SIDE)
    else:
        unknown = Doubt(f"{name} does not say what it takes: it is sent what the model info names")
        inputs, notes = [_unstated(spec) for spec in specs], [unknown]
    wanted = tuple(split_names(model_info.get("outputs")))
    outputs: list[tuple[str, str]] = []
    if served.outputs:
        names = [each.name for each in served.outputs]
        outputs, more = bind_outputs(model_info, names, SIDE)
        notes += more
        if not set(wanted) <= {reported for _, reported in outputs}:
            raise UserError(
                f"{name} gives {_shown(served.outputs)}, but the model info names "
                f"{', '.join(wanted)}: is it another model?"
            )
    return Bound(tuple(inputs), tuple(outputs), tuple(notes), wanted)


def fault_of_size(served: ServedModel, bound: Bound, size: int) -> str | None:
    """Why the served model cannot take batches of this size by what it says, or None."""
    most = served.max_batch_size
    if most and size > most:
        return f"the server takes batches of at most {most} (max_batch_size)"
    return batch_fault(bound.inputs, size)


def _tensor(each: ServedTensor) -> FileTensor:
    shape = tuple(None if size < 0 else size for size in each.shape)
    return FileTensor(each.name, shape, _type(each.dtype))


def _unstated(spec: Any) -> Fed:
    dtype = np.dtype(object) if spec.dtype.kind == "U" else spec.dtype
    return Fed(spec.name, spec.name, dtype, spec, FileTensor(spec.name, (), _type(dtype)))


def _type(dtype: np.dtype) -> str:
    if dtype.kind in "OUS":
        return "tensor(string)"
    return _TYPES.get(dtype.name, f"tensor({dtype.name})")


def _shown(tensors: tuple[ServedTensor, ...]) -> str:
    return ", ".join(f"{each.name} {list(each.shape)} {each.datatype}" for each in tensors)
