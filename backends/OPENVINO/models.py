"""OpenVINO's models: read, bound to the model info's names, shaped and compiled; its faults in
words.

Nothing is cached between processes: compiling BERT-base takes 1.3 s, and taking it from OpenVINO's
own cache (CACHE_DIR) as long, for 416 MB of disk. So nothing can be stale either.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.contract import cores
from qs.contract.tools import (
    TYPE_OF_ELEMENT,
    Fed,
    FileTensor,
    UserError,
    bind_inputs,
    bind_outputs,
    foreign_kind,
    split_names,
)

from .answers import Answers

_PLACE = re.compile(
    r"^(Exception from |Check '.*' failed at |FrontEnd API failed|While validating)"
)


def library() -> Any:
    """The package openvino. UserError if it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise UserError(
            f"the package openvino cannot be imported ({error}): install it in this environment "
            "(pip install -r backends/OPENVINO/requirements.txt), or run without --env current"
        ) from None
    return openvino


def version() -> str:
    release, build = (library().get_version().split("-") + [""])[:2]
    return f"OpenVINO {release} (build {build})" if build else f"OpenVINO {release}"


@dataclass(frozen=True)
class Started:
    """OpenVINO in this process, and the CPUs that it counted."""

    core: Any
    cpus: tuple[int, ...]


@functools.cache
def started() -> Started:
    core, cpus = library().Core(), tuple(cores.allowed_cpus())
    core.available_devices  # noqa: B018  starts the plugins, which count the CPUs
    return Started(core, cpus)


def counted(cpus: Sequence[int]) -> bool:
    """Whether these are the CPUs that OpenVINO counted when it was started."""
    return set(cpus) == set(started().cpus)


def check_device(answers: Answers) -> None:
    """UserError for a device that this machine does not have, or one without the precision."""
    core, device = started().core, answers.device
    listed = list(core.available_devices)
    if device not in listed and device not in {each.partition(".")[0] for each in listed}:
        raise UserError(
            f"OPENVINO's answer device: {device!r} is not on this machine; "
            f"OpenVINO lists {', '.join(listed) or 'none'}"
        )
    wanted = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}[answers.inference_precision]
    able = list(core.get_property(device, "OPTIMIZATION_CAPABILITIES"))
    if wanted != "FP32" and wanted not in able:
        name = core.get_property(device, "FULL_DEVICE_NAME")
        raise UserError(
            f"OPENVINO's answer inference_precision: {answers.inference_precision} is not computed "
            f"by {device} ({name.strip()}); it lists {', '.join(able)}"
        )


def model_file(info: Mapping[str, Any]) -> Path:
    """model_path as it is, or in this backend's workspace. UserError if there is no such file, or
    it is neither ONNX nor OpenVINO IR.
    """
    stated = Path(str(info.get("model_path") or ""))
    for path in (stated, Path(__file__).parents[2] / stated):
        if not path.is_file():
            continue
        suffix = path.suffix.lower()
        kind = foreign_kind(path) if suffix != ".xml" else None
        if kind is None and suffix not in (".onnx", ".xml"):
            kind = f"a {suffix or 'nameless'} file"
        if kind is not None:
            raise UserError(f"OpenVINO is given ONNX files and its own .xml; {path} is {kind}")
        if suffix == ".xml" and not path.with_suffix(".bin").is_file():
            raise UserError(f"{path} has no {path.with_suffix('.bin').name} beside it: the weights")
        return path.absolute()  # not resolved: weights beside the model are beside its link
    raise UserError(
        f"the model file {stated} is missing; put it there, or let `qs run` get it from its sources"
    )


def read(path: Path) -> Any:
    """The model. UserError if OpenVINO cannot read it, or an operator is unknown to it."""
    try:
        return started().core.read_model(path)
    except Exception as error:  # OpenVINO raises RuntimeError for everything
        raise UserError(f"OpenVINO cannot read {path}: {sentence(error)}") from None


@dataclass(frozen=True)
class Bound:
    """Which declared input feeds which of the model's, in the model's order; `outputs` are the
    positions of those that are reported, by the model info's names.
    """

    inputs: Sequence[Fed]
    outputs: Mapping[str, int]
    notes: Sequence[str]


def bind(model: Any, info: Mapping[str, Any], path: Path) -> Bound:
    """UserError if inputs do not match; see qs.contract.tools.bind_inputs."""
    declared = set(split_names(info.get("inputs"))) | set(info.get("input_shape") or {})
    tensors = [tensor_of(port, declared) for port in model.inputs]
    inputs, notes = bind_inputs(info, tensors, str(path))
    stated = set(split_names(info.get("outputs")))
    names = [_name(port, stated) for port in model.outputs]
    outputs, more = bind_outputs(info, names)
    return Bound(
        inputs, {reported: names.index(name) for name, reported in outputs}, [*notes, *more]
    )


def tensor_of(port: Any, wanted: set[str]) -> FileTensor:
    """A model's input, as it is declared; UserError for a type that numpy does not have."""
    name, element = _name(port, wanted), port.get_element_type().get_type_name()
    if element not in TYPE_OF_ELEMENT:
        raise UserError(f"the model's input {name!r} is of type {element}, which cannot be fed")
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return FileTensor(name, (), TYPE_OF_ELEMENT[element])
    sizes = tuple(None if each.is_dynamic else each.get_length() for each in shape)
    return FileTensor(name, sizes, TYPE_OF_ELEMENT[element])


def _name(port: Any, wanted: set[str]) -> str:
    """One of a tensor's names, preferably one that is asked for; its node's if it has none."""
    names = sorted(port.get_names())
    own = [name for name in names if name in wanted]
    return next(iter(own or names), port.get_node().get_friendly_name())


def compiled(
    model: Any, answers: Answers, how: Mapping[str, Any], bound: Bound, batch_size: int | None
) -> Any:
    """The model compiled with those properties, for that batch size alone unless it is None.

    UserError if OpenVINO cannot, or if it would compute in another precision than was asked for.
    """
    try:
        if batch_size is not None:
            shapes = {
                position: list(fed.spec.batch_shape(batch_size))
                for position, fed in enumerate(bound.inputs)
                if fed.tensor.shape
            }
            model.reshape(shapes)
        made = started().core.compile_model(model, answers.device, dict(how))
    except Exception as error:  # OpenVINO raises RuntimeError for everything
        size = "" if batch_size is None else f" for batch size {batch_size}"
        raise UserError(
            f"OpenVINO cannot compile the model on {answers.device}{size}: {sentence(error)}"
        ) from None
    got = made.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if got != answers.inference_precision:
        raise UserError(
            f"OPENVINO's answer inference_precision: {answers.inference_precision} was asked for, "
            f"but {answers.device} would compute in {got}"
        )
    return made


def sentence(error: BaseException) -> str:
    """What OpenVINO's message says, without the places in its source where it was raised."""
    lines = [line.strip().strip("-").strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not _PLACE.match(line) and line != "Summary:"]
    return " ".join(said)[:600] or str(error)[:600] or type(error).__name__
