"""Thread safety: what several clients are answered at the same time is what each is answered alone."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from qs.conformance.closeness import difference, too_far, worse
from qs.conformance.outcome import Outcome, Problem, judged, passed, skipped

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "threads", "concurrent answers equal serial ones"
NEEDS: tuple[str, ...] = ("determinism",)
HOST = True
CLIENTS = 4
LONGEST_S, LEAST_CALLS = (
    1.0,
    3,
)  # each client goes on for that long, and for that many calls however long they take
_SWITCH_S = 1e-5  # threads take turns often, so that a race does not need luck to show
_ALONE = ("process", "inline")
FIX = "keep nothing of one call on self, or guard it with a lock; else say pool 'process' in generate_qs_config()"


def observe(service: ConformanceService, batch_size: int, allowed: float) -> dict[str, Any]:
    """Calls, wrong answers and errors of some clients that call predict of one copy at the same time."""
    opened = service.opened(batch_size)
    samples = opened.samples
    serial = [opened.answer(feeds) for feeds in samples]
    ready = threading.Barrier(CLIENTS)
    counts = [0] * CLIENTS
    wrong: list[dict[str, Any]] = []
    errors: list[str] = []

    def client(number: int) -> None:
        try:
            ready.wait()
            end = time.monotonic() + LONGEST_S
            # On after an error: one that comes once in a while must not hide how many answers are wrong.
            while counts[number] < LEAST_CALLS or time.monotonic() < end:
                index = (number + counts[number]) % len(samples)
                counts[number] += 1
                try:
                    found = difference(serial[index], opened.answer(samples[index]))
                except Exception:
                    errors.append(traceback.format_exc())
                    continue
                if too_far(found, allowed):
                    wrong.append(found)
        except BaseException:
            errors.append(traceback.format_exc())

    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    worst: dict[str, Any] = {"apart": 0.0, "output": "", "problem": None}
    for found in wrong:
        worst = worse(worst, found)
    return {
        "calls": sum(counts),
        "wrong": len(wrong),
        "worst": worst,
        "errors": len(errors),
        "first_error": errors[0].strip().splitlines()[-1] if errors else "",
        "distinct": len(samples),
    }


def judge(seen: dict[str, Any], allowed: float, pool: str | None) -> Outcome:
    """`pool` is what the QS config asks for: a pool that never calls one copy from two threads needs no thread safety."""
    if seen["distinct"] < 2:
        return skipped(
            "there is only one batch to submit: mixed-up answers could not be told from right ones"
        )
    found = []
    if seen["errors"]:
        found.append(f"{seen['errors']} of {seen['calls']} concurrent calls raised {seen['first_error']}")
    if seen["wrong"]:
        why = too_far(seen["worst"], allowed)
        found.append(f"{seen['wrong']} of {seen['calls']} concurrent answers are not the serial ones: {why}")
    if found and pool in _ALONE:
        return passed(
            f"it is not thread-safe, and its QS config does not ask for that (pool {pool}): {'; '.join(found)}"
        )
    good = f"{seen['calls']} answers to {CLIENTS} clients at a time equal the serial ones"
    return judged([Problem(text, FIX) for text in found], good)


async def check(bench: Bench) -> Outcome:
    size = bench.batch_sizes[0]
    what = f"concurrent predict at batch size {size}"
    seen = await bench.observe(NAME, what, batch_size=size, allowed=bench.tolerance)
    return judge(seen, bench.tolerance, await bench.pool())
