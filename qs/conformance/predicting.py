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
    return {"kind": type(raw).__name__, "outputs": len(opened.named(raw))}


async def check(bench: Bench) -> Outcome:
    seen = {}
    for size in bench.batch_sizes:
        seen[size] = await bench.observe("predicting", f"predict at batch size {size}", batch_size=size)
    about = seen[bench.batch_sizes[0]]
    plural = "" if about["outputs"] == 1 else "s"
    return passed(
        f"batch sizes {', '.join(map(str, seen))}: a {about['kind']} of {about['outputs']} output{plural}"
    )
