"""Opens what torch can read: TorchScript (`pt`), archives of torch.export (`pt2`), and safetensors
for a module of the user's own.

Nothing pickled is loaded. What torch would unpickle or evaluate is looked at before torch opens the
file, and torch is told to read tensors alone.
"""

from __future__ import annotations

import inspect
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.contract.tools import UserError, bind_inputs, foreign_kind
from qs.contract.torch_files import (
    EXPORTED,
    TORCHSCRIPT,
    Doubt,
    Fed,
    FileTensor,
    check_archive,
    check_exported,
    exported,
    input_specs,
)

from . import user_module
from .words import sentence

SUFFIXES = {".pt": "pt", ".pth": "pt", ".pt2": "pt2", ".safetensors": "safetensors"}
FORCE_TENSORS = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "0"}


@dataclass
class Opened:
    """A model on the CPU, in evaluation mode, and how its inputs are passed."""

    path: Path
    format: str
    module: Any
    bound: Sequence[Fed]
    """In the order of `forward`; named as the file, or the module, names them."""
    keywords: Sequence[str | None]
    """By which name each is passed; None: by its place."""
    notes: Sequence[str]


def open_model(info: Mapping[str, Any]) -> Opened:
    """UserError if the file is missing, damaged, of another format, holds pickled objects, or takes
    other inputs than the model info states.
    """
    path, form = model_file(info)
    opened = _READERS[form](path, info)
    opened.module = opened.module.eval() if form != "pt2" else opened.module
    for parameter in opened.module.parameters():
        parameter.requires_grad_(False)
    return opened


def model_file(info: Mapping[str, Any]) -> tuple[Path, str]:
    """(model_path as it is, or in this backend's workspace; its format)."""
    stated = Path(str(info.get("model_path") or ""))
    for path in (stated, Path(__file__).parents[2] / stated):
        if path.is_dir():
            raise UserError(f"{path} is a folder; the TORCH backend reads {_FORMATS}")
        if path.is_file():
            form = str(info.get("model_format") or "").lower()
            form = form if form in _READERS else SUFFIXES.get(path.suffix.lower(), "")
            if not form:
                kind = foreign_kind(path) or f"a {path.suffix or 'nameless'} file"
                raise UserError(f"the TORCH backend reads {_FORMATS}; {path} is {kind}")
            return path.absolute(), form
    raise UserError(
        f"the model file {stated} is missing; put it there, or let `qs run` get it from its sources"
    )


def _torchscript(path: Path, info: Mapping[str, Any]) -> Opened:
    import torch

    check_archive(path, TORCHSCRIPT)
    with quiet(), _said(path, "TorchScript"):
        module = torch.jit.load(str(path), map_location="cpu")
        arguments = list(module.forward.schema.arguments)[1:]
    specs = input_specs(info)
    required = [each for each in arguments if not each.has_default_value()]
    if not len(required) <= len(specs) <= len(arguments):
        shown = ", ".join(f"{each.name}: {each.type}" for each in arguments)
        raise UserError(
            f"{path} takes {len(required)} inputs ({shown}), but the model info names "
            f"{len(specs)}: {', '.join(spec.name for spec in specs)}; correct `inputs` in the "
            "model info: TorchScript takes them by their places"
        )
    for argument in arguments[: len(specs)]:
        if "Tensor" not in str(argument.type) or "List" in str(argument.type):
            raise UserError(
                f"{path} takes {argument.name} as a {argument.type}; only tensors can be fed"
            )
    notes = [
        f"input {spec.name} is the file's {argument.name} (TorchScript takes places)"
        for spec, argument in zip(specs, arguments, strict=False)
        if spec.name.partition(".")[0] != argument.name.partition(".")[0]
    ]
    return Opened(path, "pt", module, _by_place(specs), [None] * len(specs), notes)


def _exported(path: Path, info: Mapping[str, Any]) -> Opened:
    import torch

    check_archive(path, EXPORTED)
    check_exported(path)
    bound, notes = bind_inputs(info, exported(path).inputs, str(path))
    with quiet(), _said(path, "torch.export's archive"), _tensors_alone():
        program = torch.export.load(str(path))
        module = program.module(check_guards=False)
        places, names = program.call_spec.in_spec.children_specs
        if not all(each.is_leaf() for each in (*places.children_specs, *names.children_specs)):
            raise UserError(f"{path} takes nested inputs; export it with tensors alone")
    keywords = [*[None] * places.num_children, *names.context]
    return Opened(path, "pt2", module, bound, keywords, notes)


def _safetensors(path: Path, info: Mapping[str, Any]) -> Opened:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {sentence(error)}") from error
    with quiet():
        module = user_module.made(info, path)
        user_module.fill(module, weights, path)
    specs = input_specs(info)
    keywords, notes = _keywords(module, [spec.name for spec in specs])
    return Opened(path, "safetensors", module, _by_place(specs), keywords, notes)


_READERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Opened]] = {
    "pt": _torchscript,
    "pt2": _exported,
    "safetensors": _safetensors,
}
_FORMATS = "TorchScript (.pt), archives of torch.export (.pt2) and safetensors"


def _by_place(specs: Sequence[Any]) -> list[Fed]:
    """Inputs of a file that tells no shapes and types: those of the model info."""
    for spec in specs:
        if spec.dtype.kind not in "biuf":
            raise UserError(f"input {spec.name} is {spec.type}: torch has tensors of numbers alone")
    return [
        Fed(
            spec.name,
            spec.name,
            spec.dtype,
            spec,
            FileTensor(spec.name, (None,) * len(spec.shape), spec.type),
        )
        for spec in specs
    ]


def _keywords(module: Any, names: Sequence[str]) -> tuple[list[str | None], list[str]]:
    """How inputs are passed to a module: by name where its `forward` has all of those names."""
    parameters = inspect.signature(module.forward).parameters
    bare = [name.partition(":")[0].partition(".")[0] for name in names]
    if all(name in parameters for name in bare):
        return list(bare), []
    places = [
        name for name, each in parameters.items() if each.kind < inspect.Parameter.KEYWORD_ONLY
    ]
    note = f"inputs {', '.join(names)} are the module's {', '.join(places)} (by position)"
    return [None] * len(names), [Doubt(note)]


@contextmanager
def quiet() -> Iterator[None]:
    """Notes of torch's on deprecation are no use to whoever measures a file."""
    logger = logging.getLogger("torch")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def _said(path: Path, what: str) -> Iterator[None]:
    """torch raises a dozen unrelated classes for a file that it cannot read."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be read as {what}: {sentence(error)}") from error


class _NoPickles:
    """In place of the module pickle."""

    @staticmethod
    def loads(*_: Any, **__: Any) -> Any:
        raise UserError("it holds pickled objects, which are not loaded")


@contextmanager
def _tensors_alone() -> Iterator[None]:
    """torch.load reads nothing but tensors, whatever its caller asks for, and pickle nothing."""
    from torch.export.pt2_archive import _package

    before = {name: os.environ.get(name) for name in FORCE_TENSORS}
    pickles = _package.pickle
    os.environ.update(FORCE_TENSORS)
    _package.pickle = _NoPickles
    try:
        yield
    finally:
        _package.pickle = pickles
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
