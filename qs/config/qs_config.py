"""The QS config: what a backend's generate_qs_config() says about how to drive it.

Every key is optional; an unknown one is a fault that names the nearest known one, since a misspelt key would silently not apply.
The JSON file form and its published schema are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from qs.config.checking import Checkable, Count, as_object, check
from qs.errors import Fault, Faults
from qs.names import nearest

POOLS = ("thread", "inline", "process", "async")
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _warm_up(value: dict[str, float]) -> dict[str, float]:
    if not value.keys() <= {"iterations", "seconds"} or any(not amount >= 0 for amount in value.values()):
        raise ValueError("warmup")
    return value


def _pool(value: str) -> str:
    if value not in POOLS:
        raise ValueError("pool")
    return value


class QsConfig(Checkable):
    """How a backend wants to be driven. None: not stated."""

    qs_version: Annotated[int, Field(strict=True, ge=1, le=2)] = 2
    runner: str | None = None
    artifact: str | None = None
    pool: Annotated[str, AfterValidator(_pool)] | None = None
    instances: Count | None = None
    clients: Count | None = None
    iterations: Count | None = None
    batch_sizes: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    affinity: (
        Annotated[
            tuple[Annotated[tuple[Annotated[int, Field(strict=True, ge=0)], ...], Field(min_length=1)], ...],
            Field(min_length=1),
        ]
        | None
    ) = None
    intra_op_threads: Count | None = None
    warmup: Annotated[dict[str, float], AfterValidator(_warm_up)] | None = None
    scenarios: list[dict[str, Any]] | None = None
    batching: dict[str, Any] | None = None
    timeout_s: Seconds | None = None
    samples: dict[str, Any] | None = None

    ALLOWED: ClassVar[Mapping[str, str]] = {
        "qs_version": "1 or 2",
        "pool": ", ".join(POOLS),
        **dict.fromkeys(("instances", "clients", "iterations", "intra_op_threads"), "a whole number >= 1"),
        "batch_sizes": "a list of whole numbers >= 1, not empty",
        "affinity": "a list of lists of CPU numbers, one list an instance",
        "warmup": "an object with iterations, seconds or both, none below 0",
        "timeout_s": "a number of seconds above 0",
    }


def parse_qs_config(raw: object, origin: str) -> dict[str, Any]:
    """The stated keys, checked. Faults names everything that is wrong; `origin` is what messages call the config."""
    stated = as_object(raw, origin, "QS config")
    known = list(QsConfig.model_fields)
    unknown = [
        Fault(origin, key, value, "a known key", nearest(key, known), f"known: {', '.join(known)}")
        for key, value in stated.items()
        if key not in known
    ]
    checked = check(QsConfig, {key: value for key, value in stated.items() if key in known}, origin)
    faults = [*unknown, *checked.faults]
    if faults or checked.value is None:
        raise Faults(faults)
    return {key: getattr(checked.value, key) for key in stated}
