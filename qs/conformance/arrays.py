"""Arrays: predict does not write into its feeds, and no later call writes into an answer that was
given.

Samples are cycled through, and accuracy checkers keep answers: either fault makes numbers wrong
without any error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qs.conformance.outcome import Outcome, Problem, judged

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "arrays", "predict leaves its feeds alone, and its answers stay as they are"
NEEDS: tuple[str, ...] = ("predict",)
HOST = True


def observe(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    """The inputs that were written into, the outputs that changed later, and whether that could be
    seen.
    """
    opened = service.opened(batch_size)
    feeds = {name: np.array(array) for name, array in opened.samples[0].items()}
    before = {name: np.array(array) for name, array in feeds.items()}
    kept = opened.named(opened.raw(feeds))
    as_given = {name: np.array(array) for name, array in kept.items()}
    opened.answer(opened.samples[-1])
    return {
        "written": [name for name, array in feeds.items() if not _same(array, before[name])],
        "overwritten": [name for name, array in kept.items() if not _same(array, as_given[name])],
        "other_feed": len(opened.samples) > 1,
    }


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()  # NaN is itself here


def judge(seen: dict[str, Any]) -> Outcome:
    problems = []
    if seen["written"]:
        problems.append(
            Problem(
                f"predict writes into its feeds: {', '.join(seen['written'])}",
                "work on a copy: the same arrays are submitted again",
            )
        )
    if seen["overwritten"]:
        problems.append(
            Problem(
                f"a later predict writes into an earlier answer: {', '.join(seen['overwritten'])}",
                "return arrays of their own (a copy of the device's buffer)",
            )
        )
    note = "" if seen["other_feed"] else "; there was only one batch to try with"
    return judged(problems, f"feeds and answers stay as they are{note}", blocks=False)


async def check(bench: Bench) -> Outcome:
    size = bench.batch_sizes[0]
    return judge(await bench.observe(NAME, f"predict at batch size {size}", batch_size=size))
