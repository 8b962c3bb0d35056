"""An opened model made ready to run: cast, placed on its device, and, if asked for, optimized or
compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from qs.contract.tools import UserError

from .answers import PRECISIONS, Answers
from .opening import Opened, quiet
from .outputs import flat
from .words import sentence

CAST, AUTOCAST = "cast", "autocast"
COMPILED_SHAPES = 256  # torch.compile falls back to eager, silently, after eight of one module
SAME = {"rtol": 1e-3, "atol": 1e-4}


class Ready:
    """A model on its device. `call(arrays)` is one inference: a flat list of tensors.

    casting   CAST: weights and inputs have the precision asked for. AUTOCAST: torch casts operator
              by operator, for models that fix a type in their own code; slower, as weights are cast
              at every call
    """

    def __init__(self, opened: Opened, answers: Answers, device: Any, casting: str = CAST) -> None:
        import torch

        self._torch = torch
        # What torch.inference_mode enters, without some microseconds of Python around it.
        self._inference = getattr(torch._C, "_InferenceMode", torch.inference_mode)
        self.device = device
        self._opened = opened
        self._compiles = answers.mode == "compile"
        self._dtype = None if answers.precision == "fp32" else _dtype(answers.precision)
        self._autocast = casting == AUTOCAST
        module = opened.module
        if self._dtype is not None and not self._autocast:
            module = module.to(self._dtype)
        module = device.place(module)
        if answers.mode == "optimize_for_inference":
            module = _optimized(module, opened)
        elif self._compiles:
            _allow_shapes()
        self._module = module
        self._calls: dict[tuple, Callable[..., Any]] = {}
        self._call = None if self._compiles else self._made(module)

    def run(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """The outputs of one inference, in inference mode, as torch gives them back."""
        with self._inference(True):
            return self.device.run(self._call or self.call_for(arrays), arrays)

    def raw(self, arrays: Sequence[np.ndarray]) -> Any:
        """What the model itself returns, for its names."""
        kept: list[Any] = []
        call = self._invoking(self._compiled(arrays) if self._compiles else self._module)

        def once(*tensors: Any) -> list[Any]:
            kept.append(call(*tensors))
            return flat(kept[0])

        with self._torch.inference_mode():
            self.device.run(once, arrays)
        return kept[0]

    def call_for(self, arrays: Sequence[np.ndarray]) -> Callable[..., Any]:
        """Tensors in, flat list of tensors out, for arrays of these shapes."""
        if self._call is not None:
            return self._call
        key = tuple(array.shape for array in arrays)
        if key not in self._calls:
            self._calls[key] = self._made(self._compiled(arrays))
        return self._calls[key]

    def _made(self, module: Any) -> Callable[..., Any]:
        invoke = self._invoking(module)
        tensor, narrow = self._torch.Tensor, self._torch.bfloat16  # which numpy has not

        def call(*tensors: Any) -> list[Any]:
            raw = invoke(*tensors)
            if raw.__class__ is tensor and raw.dtype is not narrow:
                return [raw]
            return [each.float() if each.dtype is narrow else each for each in flat(raw)]

        return call

    def _invoking(self, module: Any) -> Callable[..., Any]:
        """The module's forward with inputs cast, and passed, as they have to be."""
        keywords = self._opened.keywords
        invoke = _forward(module)
        if any(keywords):
            places = sum(name is None for name in keywords)
            names = keywords[places:]
            by_place = invoke

            def invoke(*tensors: Any) -> Any:
                return by_place(
                    *tensors[:places], **dict(zip(names, tensors[places:], strict=True))
                )

        dtype = self._dtype
        if dtype is None:
            return invoke
        plain = invoke
        if self._autocast:
            kind, autocast = self.device.name.partition(":")[0], self._torch.autocast

            def cast(*tensors: Any) -> Any:
                with autocast(kind, dtype):
                    return plain(*tensors)

            return cast
        return lambda *tensors: plain(
            *(each.to(dtype) if each.is_floating_point() else each for each in tensors)
        )

    def _compiled(self, arrays: Sequence[np.ndarray]) -> Any:
        """torch.compile's, for these shapes alone: what is dynamic is slower, and each batch size
        is loaded before it is measured.
        """
        module = self._module
        if self._opened.format == "pt":
            key = ("pt", *(array.shape for array in arrays))
            if key not in self._calls:
                self._calls[key] = _graph_of(self._opened, module, self._tensors(arrays))
            module = self._calls[key]
        return self._torch.compile(module, dynamic=False)

    def _tensors(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        tensors = [self._torch.from_numpy(array).to(self.device.name) for array in arrays]
        if self._dtype is None or self._autocast:
            return tensors
        return [each.to(self._dtype) if each.is_floating_point() else each for each in tensors]


def _dtype(precision: str) -> Any:
    import torch

    return getattr(torch, PRECISIONS[precision])


def _forward(module: Any) -> Callable[..., Any]:
    """Its forward without the layer in front of it, which is there for hooks: some microseconds."""
    import torch

    hooks: Mapping = getattr(module, "_forward_hooks", {})
    before: Mapping = getattr(module, "_forward_pre_hooks", {})
    if isinstance(module, torch.jit.ScriptModule) and not hooks and not before:
        return module.forward
    return module


def _optimized(module: Any, opened: Opened) -> Any:
    import torch

    if opened.format != "pt":
        raise UserError(
            "mode: 'optimize_for_inference' is TorchScript's own optimizer, and "
            f"{opened.path} is a {opened.format} file; answer mode 'compile' or 'eager'"
        )
    try:
        with quiet():
            return torch.jit.optimize_for_inference(module)
    except RuntimeError as error:
        raise UserError(
            f"mode: torch.jit.optimize_for_inference cannot take {opened.path}: "
            f"{sentence(error)}; answer mode 'eager'"
        ) from error


def _graph_of(opened: Opened, script: Any, tensors: Sequence[Any]) -> Any:
    """TorchScript as a graph that torch.compile takes, for tensors of these shapes. UserError if
    torch cannot convert it, or the graph answers otherwise.
    """
    import torch

    try:
        from torch._export.converter import TS2EPConverter

        with quiet(), torch.no_grad():
            program = TS2EPConverter(script, tuple(tensors), {}).convert()
            graph = program.module(check_guards=False)
            pairs = zip(flat(script(*tensors)), flat(graph(*tensors)), strict=True)
            same = all(
                torch.allclose(own.float(), made.float(), equal_nan=True, **SAME)
                for own, made in pairs
            )
    except Exception as error:  # a converter may fail in any way
        raise UserError(
            f"mode: 'compile' takes Python's graphs, and torch {torch.__version__} cannot make one "
            f"of the TorchScript in {opened.path}: {sentence(error)}; export the model with "
            "torch.export (.pt2), or answer mode 'eager'"
        ) from error
    if not same:
        raise UserError(
            f"mode: 'compile': the graph that torch {torch.__version__} makes of {opened.path} "
            "does not answer as the file does; export the model with torch.export (.pt2), or "
            "answer mode 'eager'"
        )
    return graph


def _allow_shapes() -> None:
    import torch._dynamo

    torch._dynamo.config.recompile_limit = COMPILED_SHAPES
    torch._dynamo.config.accumulated_recompile_limit = COMPILED_SHAPES * 4
