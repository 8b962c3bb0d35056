"""The side with torch: a module of the weights, `forward` compiled from its text, checked and
saved. Needs numpy and torch, and nothing else of ours.
"""

from __future__ import annotations

import json
import traceback
import typing
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.tensors.closeness import difference, too_far

LONGEST_WORDS = 300


class CompilingService:
    """Stateless."""

    def compile(self, folder: str, out: str, tolerance: float) -> dict[str, Any]:
        """Compile what `WritingService.write` left in `folder`, save it at `out` as TorchScript,
        and check the answers of the saved file.

        Returns {"torch": its version, "max_abs_diff", "max_rel_diff"}; the latter is a share of an
        output's largest magnitude, and at most `tolerance`. UserError if torch cannot
        compile the text, or answers otherwise than ONNX Runtime.
        """
        import torch

        place = Path(folder)
        about = json.loads((place / "about.json").read_text())
        with _told(f"torch {torch.__version__}"), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # notes on the future of TorchScript
            module = scripted((place / "forward.txt").read_text(), _constants(place, about))
            torch.jit.save(module, out)
            del module  # its weights' memory goes to the copy that is checked
            loaded = torch.jit.load(out, map_location="cpu").eval()
            return {"torch": str(torch.__version__)} | _checked(loaded, place, about, tolerance)


def scripted(source: str, constants: Mapping[str, tuple[np.ndarray, str]]) -> Any:
    """A ScriptModule in eval mode: `constants` (array, type) are its parameters and buffers,
    `source` its forward.
    """
    import torch

    from qs.inside.torchscript import functions

    # torch keeps one compiled class for alike modules of a class: this one is nobody else's
    module = type("Network", (torch.nn.Module,), {})()
    for name, (array, kind) in constants.items():
        tensor = torch.from_numpy(np.array(array))
        if kind == "bfloat16":
            tensor = tensor.view(torch.int16).view(torch.bfloat16)
        if tensor.is_floating_point() and tensor.dim():
            module.register_parameter(name, torch.nn.Parameter(tensor, requires_grad=False))
        else:
            module.register_buffer(name, tensor)
    made = torch.jit.script(module.eval())
    known = {"torch": torch, "Tensor": torch.Tensor}
    known |= {name: getattr(typing, name) for name in ("List", "Tuple")}

    def resolved(name: str) -> Any:
        """What a name in the text means; nothing else can be reached from there."""
        return known.get(name) or getattr(functions, name, None)

    made._c._define(made._concrete_type, source, resolved)
    return made


def _constants(place: Path, about: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, str]]:
    with np.load(place / "constants.npz", allow_pickle=False) as stored:
        return {name: (stored[name], kind) for name, kind in about["types"].items()}


def _checked(
    module: Any, place: Path, about: Mapping[str, Any], tolerance: float
) -> dict[str, Any]:
    import torch

    names, absolute, relative = about["outputs"], 0.0, 0.0
    for number in range(about["answers"]):
        with np.load(place / f"answers-{number}.npz", allow_pickle=False) as stored:
            feeds = [torch.from_numpy(stored[f"i{at}"]) for at in range(about["inputs"])]
            wanted = {name: stored[f"o{at}"] for at, name in enumerate(names)}
        answer = module(*feeds)
        answers = answer if isinstance(answer, tuple) else (answer,)
        got = {name: one.cpu().numpy() for name, one in zip(names, answers, strict=True)}
        found = difference(wanted, got)
        why = too_far(found, tolerance)
        if why:
            raise UserError(
                "the model as TorchScript does not answer what ONNX Runtime does, to sample "
                f"{number}: {why}"
            )
        relative = max(relative, found["apart"])
        absolute = max(absolute, *(_apart(wanted[name], got[name]) for name in names))
    return {"max_abs_diff": absolute, "max_rel_diff": relative}


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
    finite = apart[np.isfinite(apart)]
    return float(finite.max()) if finite.size else 0.0


@contextmanager
def _told(who: str) -> Iterator[None]:
    """What torch raises as one message; the whole of it is in the log."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        traceback.print_exc()
        lines = [line for line in str(error).splitlines() if line.strip()]
        said = one_line(" ".join(lines[:3]) or type(error).__name__, LONGEST_WORDS)
        raise UserError(f"{who} cannot compile the model to TorchScript: {said}") from None
