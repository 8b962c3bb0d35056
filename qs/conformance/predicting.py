"""Predict: an answer at every batch size, of a kind that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, passed

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "predict", "predict answers at every batch size"
NEEDS: tuple[str, ...] = ("load",)
HOST = True


def observe(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    """Raises what predict raises, and TypeError where it gives no arrays."""
    opened = service.opened(batch_size)
    raw = opened.raw(opened.samples[0])
    shapes = {name: list(array.shape) for name, array in opened.named(raw).items()}
    return {"kind": type(raw).__name__, "batch_size": opened.batch_size, "shapes": shapes}


async def check(bench: Bench) -> Outcome:
    seen = await bench.predicted()
    about = seen[bench.batch_sizes[0]]
    count = len(about["shapes"])
    sizes = ", ".join(map(str, seen))
    return passed(
        f"batch sizes {sizes}: a {about['kind']} of {count} output{'' if count == 1 else 's'}"
    )
