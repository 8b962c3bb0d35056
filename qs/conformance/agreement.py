"""Agreement: answers are those of the fp32 ONNX graph, run unoptimized by our own reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged, skipped

if TYPE_CHECKING:
    from qs.conformance.bench import Bench

NAME, ABOUT = "agreement", "answers agree with the reference"
NEEDS: tuple[str, ...] = ("predict",)
HOST = True
ITEMS = 16

# Least cosine similarity of an output with the reference's. What rounding costs stays above; wrong
# rows, a lost bias or a transposed weight fall below.
LEAST_COSINE = {"FP32": 0.9999, "TF32": 0.999, "FP16": 0.999, "BF16": 0.99}
OF_OTHERS = 0.95


async def check(bench: Bench) -> Outcome:
    reference = await bench.reference()
    if reference.path is None:
        return skipped(f"there is no reference to compare with: {reference.why}")
    found = {
        size: await bench.call(
            "numeric",
            f"predict at batch size {size}",
            reference_npz=str(reference.path),
            batch_size=size,
            items=ITEMS,
        )
        for size in bench.outer_batch_sizes
    }
    return judge(found, bench.precision)


def judge(found: Mapping[int, dict[str, Any]], precision: object) -> Outcome:
    """`found`: batch size -> the numeric stage's metrics."""
    name = str(precision or "FP32").upper().replace("BFLOAT", "BF").replace("FLOAT", "FP")
    least = LEAST_COSINE.get(name, OF_OTHERS)
    problems, lowest = [], 1.0
    for size, metrics in found.items():
        for output, row in metrics["outputs"].items():
            cosine = row["Cosine Similarity"]
            lowest = min(lowest, 1.0 if cosine is None else cosine)
            why = row["failed"]
            if not why and cosine is None and row["Max Diff"]:
                why = "all of it is zero on one side, and not on the other"  # no angle to nothing
            elif not why and cosine is not None and cosine < least:
                why = f"cosine similarity {cosine:.5g}, for {name} at least {least:g}"
            if why:
                fix = "compare layer by layer from the inputs on; look at the order of items, layouts and casts first"
                problems.append(Problem(f"batch size {size}, output {output}: {why}", fix))
    sizes = " and ".join(map(str, found))
    good = (
        f"cosine similarity of at least {lowest:.6f} at batch sizes {sizes}; {name} needs {least:g}"
    )
    return judged(problems, good)
