"""An ONNX file as a TensorFlow saved_model, for backends that read only that: its nodes are read in
a process of ours, built under an interpreter that has tensorflow (the backend's, else ours),
checked against ONNX Runtime, and kept in the cache.

The backend's own TensorFlow comes first, since an older one may not read what a newer one saved.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from qs.base.cache import cache_dir, key_of
from qs.base.errors import UserError
from qs.base.scratch import scratch
from qs.engine import ChildHost, Factory
from qs.environments import Environment
from qs.environments.log import unlinked
from qs.evaluate.making import called, made_once
from qs.models.converted import Converted
from qs.models.formats import ONNX, SAVED_MODEL
from qs.models.saved_model import DISTRIBUTIONS, tensorflow_version
from qs.tensors.digest import digests_of

WRITING = "qs.inside.saved_model.writing:WritingService"
BUILDING = "qs.inside.saved_model.building:BuildingService"
WRITTEN_BY = Path(__file__).parents[1] / "inside" / "saved_model"
TOLERANCE = 1e-4
"""How far TensorFlow's answers may be from ONNX Runtime's, as a share of an output's largest
magnitude."""
LIMIT_S = 1800.0


@dataclass(frozen=True)
class TensorFlow:
    """An interpreter that has it."""

    python: str
    version: str
    variables: Mapping[str, str]


def tensorflow_for(environment: Environment | None) -> TensorFlow | None:
    """The backend's own TensorFlow, else ours; None if neither has one. Nothing is imported."""
    if environment is not None and environment.key is not None:
        there = {str(canonicalize_name(name)): each for name, each in environment.packages.items()}
        versions = [there[name] for name in DISTRIBUTIONS if name in there]
        if versions:
            return TensorFlow(environment.python, versions[0], environment.variables)
    if find_spec("tensorflow") is None:
        return None
    return TensorFlow(sys.executable, tensorflow_version(), {})


async def saved_model_of(
    onnx: Path,
    model_info: Mapping[str, Any],
    environment: Environment | None,
    log: Path,
    say: Callable[[str], None],
) -> Converted:
    """The ONNX file as a saved_model folder, from the cache or made now; what its processes print
    goes to `log`.

    Its signature `serving_default` has the model info's names without their ":0", at any batch size
    that the file takes; the tensors of the graph have the names as they are. UserError without
    tensorflow, for a node that is not known, and for answers that differ from ONNX Runtime's by
    more than TOLERANCE; BackendFailed if one of the processes dies or hangs.
    """
    found = tensorflow_for(environment)
    if found is None:
        raise UserError(
            f"{onnx} is ONNX, and tensorflow, which would turn it into a saved_model, is neither "
            "in this Python nor in the backend's environment: install the extra `tensorflow` (pip "
            "install 'quicksilver-perf[tensorflow]'), or name tensorflow-cpu in the backend's "
            f"requirements.txt, or put the trained model at {model_info.get('model_path')}"
        )
    key = await asyncio.to_thread(_key, onnx, model_info, found)

    async def make(new: Path) -> None:
        say(f"turning {onnx.name} into a saved_model with tensorflow {found.version}")
        await _built(new, onnx, model_info, found, log)

    path = await made_once(f"models/saved_model-{key}", "", make, _sound)
    check = json.loads(_note(path).read_text())
    origin = {"path": str(onnx), "format": ONNX}
    return Converted(path, SAVED_MODEL, origin, f"tensorflow {found.version}", check)


def _note(path: Path) -> Path:
    """What the check found, beside the folder."""
    return path.with_name(f"{path.name}.json")


def _sound(path: Path) -> bool:
    return json.loads(_note(path).read_text())["files"] == _sizes(path)


def _sizes(path: Path) -> dict[str, int]:
    files = (each for each in sorted(path.rglob("*")) if each.is_file())
    return {each.relative_to(path).as_posix(): each.stat().st_size for each in files}


def _key(onnx: Path, info: Mapping[str, Any], tensorflow: TensorFlow) -> str:
    stated = ("inputs", "outputs", "input_shape", "input_type", "input_range", "input_batch_axis")
    digest = hashlib.sha256()
    for file in sorted(WRITTEN_BY.glob("*.py")):  # changes with every edit of what builds it
        digest.update(file.read_bytes())
    return key_of(
        {
            "file": sorted(digests_of(onnx).values()),
            "declared": {name: info.get(name) for name in stated},
            "builder": digest.hexdigest(),
            "tensorflow": tensorflow.version,
            "tolerance": TOLERANCE,
        }
    )


async def _built(
    new: Path, onnx: Path, info: Mapping[str, Any], tensorflow: TensorFlow, log: Path
) -> None:
    with scratch("qs-saved-model-", cache_dir()) as folder:
        await called(
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
                Factory(BUILDING),
                python=tensorflow.python,
                env=tensorflow.variables,
                log_path=unlinked(log),
            ),
            "build",
            "building a saved_model",
            LIMIT_S,
            folder=str(folder),
            out=str(new),
            tolerance=TOLERANCE,
        )
    check = {name: made[name] for name in ("items", "max_abs_diff", "max_rel_diff")}
    note = check | {"tolerance": TOLERANCE, "files": await asyncio.to_thread(_sizes, new)}
    await asyncio.to_thread(_note(new).write_text, json.dumps(note))
