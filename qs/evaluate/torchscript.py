"""An ONNX file as TorchScript, for backends that read only that: written in a process of ours,
compiled under an interpreter that has torch (the backend's, else ours), checked against ONNX
Runtime, and kept in the cache.

The backend's own torch comes first, since an older one may not read what a newer one saved.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qs.base.cache import cache_dir, key_of
from qs.base.errors import UserError
from qs.base.scratch import scratch
from qs.engine import ChildHost, Factory
from qs.environments import Environment
from qs.environments.log import unlinked
from qs.evaluate.making import called, made_once
from qs.models.converted import Converted
from qs.models.formats import ONNX, PT
from qs.tensors.digest import digests_of

WRITING = "qs.inside.torchscript.writing:WritingService"
COMPILING = "qs.inside.torchscript.compiling:CompilingService"
WRITTEN_BY = Path(__file__).parents[1] / "inside" / "torchscript"
TOLERANCE = 1e-4
"""How far the saved file's answers may be from ONNX Runtime's, as a share of an output's largest
magnitude."""
LIMIT_S = 1800.0


@dataclass(frozen=True)
class Torch:
    """An interpreter that has torch."""

    python: str
    version: str
    variables: Mapping[str, str]


def torch_for(environment: Environment) -> Torch | None:
    """The backend's own torch, else ours; None if neither has one. Nothing is imported."""
    if environment.key is not None and "torch" in environment.packages:
        return Torch(environment.python, environment.packages["torch"], environment.variables)
    if find_spec("torch") is None:
        return None
    try:
        return Torch(sys.executable, version("torch"), {})
    except PackageNotFoundError:  # a folder of that name
        return None


def needs_torch(onnx: Path, model_info: Mapping[str, Any], environment: Environment) -> Torch:
    """The torch that would compile the file. UserError if there is none, with what would help."""
    found = torch_for(environment)
    if found is None:
        raise UserError(
            f"{onnx} is ONNX, and torch, which would turn it into TorchScript, is neither in this "
            "Python nor in the backend's environment: install the extra `torch` (pip install "
            "'quicksilver-perf[torch]'), or name torch in the backend's requirements.txt, or put "
            f"the model as TorchScript at {_place(model_info)}"
        )
    return found


def _place(model_info: Mapping[str, Any]) -> str:
    """Where the user's own file goes."""
    stated = str(model_info.get("model_path") or "model.pt")
    return stated if stated.endswith(".pt") else str(Path(stated).with_suffix(".pt"))


async def torchscript_of(
    onnx: Path,
    model_info: Mapping[str, Any],
    environment: Environment,
    log: Path,
    say: Callable[[str], None],
) -> Converted:
    """The ONNX file as a TorchScript archive, from the cache or made now; what its processes print
    goes to `log`.

    Its forward takes the model info's inputs in their order, in the types that it states, at any
    batch size that the file takes, and returns the outputs in its order: one tensor, or a tuple.
    UserError without torch, for a node that is not known, and for answers that differ from ONNX
    Runtime's by more than TOLERANCE; BackendFailed if one of the processes dies or hangs.
    """
    torch = needs_torch(onnx, model_info, environment)
    key = await asyncio.to_thread(_key, onnx, model_info, torch)

    async def make(new: Path) -> None:
        say(f"turning {onnx.name} into TorchScript with torch {torch.version}")
        await _built(new, onnx, model_info, torch, log)

    path = await made_once(f"models/scripted-{key}", ".pt", make, _sound)
    check = json.loads(_note(path).read_text())
    origin = {"path": str(onnx), "format": ONNX}
    return Converted(path, PT, origin, f"torch {torch.version}", check)


def _note(path: Path) -> Path:
    """What the check found, beside the file."""
    return path.with_name(f"{path.name}.json")


def _sound(path: Path) -> bool:
    return isinstance(json.loads(_note(path).read_text()), dict)


def _key(onnx: Path, info: Mapping[str, Any], torch: Torch) -> str:
    stated = ("inputs", "outputs", "input_shape", "input_type", "input_range", "input_batch_axis")
    return key_of(
        {
            "file": sorted(digests_of(onnx).values()),
            "declared": {name: info.get(name) for name in stated},
            "emitter": _emitter(),
            "torch": torch.version,
            "tolerance": TOLERANCE,
        }
    )


def _emitter() -> str:
    """Changes with every edit of what writes and compiles the text."""
    digest = hashlib.sha256()
    for file in sorted(WRITTEN_BY.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


async def _built(new: Path, onnx: Path, info: Mapping[str, Any], torch: Torch, log: Path) -> None:
    with scratch("qs-torchscript-", cache_dir()) as folder:
        written = await called(
            ChildHost(Factory(WRITING), python=sys.executable, log_path=unlinked(log)),
            "write",
            f"reading {onnx.name}",
            LIMIT_S,
            onnx_path=str(onnx),
            model_info=dict(info),
            folder=str(folder),
        )
        made = await called(
            ChildHost(
                Factory(COMPILING),
                python=torch.python,
                env=torch.variables,
                log_path=unlinked(log),
            ),
            "compile",
            "compiling to TorchScript",
            LIMIT_S,
            folder=str(folder),
            out=str(new),
            tolerance=TOLERANCE,
        )
    made.pop("torch")
    _note(new).write_text(json.dumps(written | made | {"tolerance": TOLERANCE}))
