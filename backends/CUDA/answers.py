"""What the user answered, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from qs.contract.tools import UserError

PROVIDERS = {"CUDA": "CUDAExecutionProvider", "TENSORRT": "TensorrtExecutionProvider"}


@dataclass(frozen=True)
class Answers:
    """The interact profile's questions, answered."""

    provider: str = "CUDA"
    device_ids: tuple[int, ...] = (0,)
    io_binding: bool = True
    keep_outputs: bool = False
    tf32: bool = False
    tensorrt_fp16: bool = False

    @property
    def precision(self) -> str:
        """What is computed in. TensorRT's own default for fp32 is TF32."""
        if self.provider == "TENSORRT":
            return "FP16" if self.tensorrt_fp16 else "TF32"
        return "TF32" if self.tf32 else "FP32"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"device_ids": list(self.device_ids)}


def answers_of(given: Mapping[str, Any] | None) -> Answers:
    """From `interact_info`. UserError for a provider or numbers that there cannot be, and for
    answers that contradict each other.
    """
    given = given or {}
    provider = str(given.get("provider") or "CUDA").strip().upper()
    if provider not in PROVIDERS:
        raise UserError(f"provider: {provider!r} is not known; allowed: {', '.join(PROVIDERS)}")
    answers = Answers(
        provider=provider,
        device_ids=_numbers(given.get("device_ids", "0")),
        io_binding=bool(given.get("io_binding", True)),
        keep_outputs=bool(given.get("keep_outputs")),
        tf32=bool(given.get("tf32")),
        tensorrt_fp16=bool(given.get("tensorrt_fp16")),
    )
    if answers.keep_outputs and not answers.io_binding:
        raise UserError("keep_outputs needs io_binding: without it, outputs come to the host")
    if answers.tensorrt_fp16 and provider != "TENSORRT":
        raise UserError("tensorrt_fp16 needs provider TENSORRT")
    return answers


def _numbers(stated: Any) -> tuple[int, ...]:
    parts = stated if isinstance(stated, (list, tuple)) else str(stated).split(",")
    words = [str(part).strip() for part in parts if str(part).strip()]
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise UserError(
            f"device_ids: {stated!r} is no list of numbers of GPUs; allowed: 0, or 0,1,2,3"
        )
    return tuple(map(int, words))
