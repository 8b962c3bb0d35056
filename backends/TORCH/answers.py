"""What the user answered, checked against what torch has on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from typing import Any

from qs.contract import cores
from qs.contract.tools import UserError

PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


@dataclass(frozen=True)
class Answers:
    """The interact profile's questions, answered."""

    device: str = "cpu"
    mode: str = "eager"
    precision: str = "fp32"
    keep_outputs: bool = False
    intra_op_threads: int = 0
    """0: ours to choose."""

    @property
    def threads(self) -> int:
        """Threads of the CPU for one inference, when nobody else runs."""
        return self.intra_op_threads or cores.core_count(cores.usable_cpus())

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Answers:
        """What to_dict gave, from a compile result."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in kept.items() if name in known})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def answers_of(configs: Mapping[str, Any]) -> Answers:
    """From `interact_info`. UserError for a device that is not there, and for a mode or a precision
    that cannot be had on this machine.
    """
    given = configs.get("interact_info") or {}
    answers = Answers(
        device=str(given.get("device") or "cpu").strip().lower(),
        mode=str(given.get("mode") or "eager"),
        precision=str(given.get("precision") or "fp32").lower(),
        keep_outputs=bool(given.get("keep_outputs")),
        intra_op_threads=max(int(given.get("intra_op_threads") or 0), 0),
    )
    check_device(answers.device)
    if answers.precision not in PRECISIONS:
        raise UserError(
            f"precision: {answers.precision!r} is not known; allowed: {', '.join(PRECISIONS)}"
        )
    if answers.mode == "compile":
        _check_compiler(answers.device)
    return answers


def devices() -> list[str]:
    """The devices that torch can compute on here: cpu, then the accelerator's, numbered."""
    import torch

    found = ["cpu"]
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator().type
        found += [f"{kind}:{number}" for number in range(torch.accelerator.device_count())]
    return found


def check_device(name: str) -> None:
    """UserError for a device that torch does not list; it says what there is."""
    import torch

    there = devices()
    if name in there or name in {each.partition(":")[0] for each in there}:
        return
    hint = "" if len(there) > 1 else f"; torch {torch.__version__} sees no accelerator here"
    if "+cpu" in torch.__version__:
        hint = (
            f"; torch {torch.__version__} is a build for the CPU alone: docs/backends.md says how "
            "to get one for CUDA"
        )
    raise UserError(f"device: {name!r} is not there; there is {', '.join(there)}{hint}")


def _check_compiler(device: str) -> None:
    """Inductor writes C++ for the CPU, and Triton's kernels for other devices."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise UserError(
            f"mode: 'compile' needs a C++ compiler, and {compiler} is not found; install it (apt "
            "install g++), name another in the environment variable CXX, or answer mode 'eager'"
        )
    if device != "cpu" and find_spec("triton") is None:
        raise UserError(
            f"mode: 'compile' on {device} needs the package triton, which is not installed; "
            "install it beside torch, or answer mode 'eager'"
        )
