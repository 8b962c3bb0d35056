"""Determinism: the same feed gives the same answer, with another feed in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged
from qs.tensors.closeness import difference, in_words, too_far

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "determinism", "the same feed gives the same answer"
NEEDS: tuple[str, ...] = ("predict",)
HOST = True
FIX = "carry nothing over from call to call: seed or drop what is random, clear buffers before they are added to"


def observe(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    opened = service.opened(batch_size)
    first = opened.answer(opened.samples[0])
    opened.answer(opened.samples[-1])
    return difference(first, opened.answer(opened.samples[0]))


def judge(seen: Mapping[int, dict[str, Any]], allowed: float) -> Outcome:
    """`seen`: batch size -> the difference between two answers to one feed."""
    problems = []
    for size, found in seen.items():
        wrong = too_far(found, allowed)
        if wrong:
            problems.append(Problem(f"batch size {size}: {wrong}", FIX))
    largest = max(found["apart"] for found in seen.values())
    return judged(problems, f"two answers to one feed: {in_words(largest)}")


async def check(bench: Bench) -> Outcome:
    seen = {
        size: await bench.observe(NAME, f"predict at batch size {size}", batch_size=size)
        for size in bench.outer_batch_sizes
    }
    return judge(seen, bench.tolerance)
