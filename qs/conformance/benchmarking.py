"""The backend's own benchmark, where QS mode is not supported: it gives the numbers that a report
shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, failed, judged, skipped

if TYPE_CHECKING:
    from qs.conformance.bench import Bench

NAME, ABOUT = "benchmark", "without QS mode, benchmark gives queries per second and latencies"
NEEDS: tuple[str, ...] = ("predict", "qs_config")
HOST = True


async def check(bench: Bench) -> Outcome:
    from qs.evaluate.failures import BackendFailed
    from qs.evaluate.vendor_mode import NOT_WRITTEN

    if bench.supports_qs:
        return skipped("QS mode is supported: benchmark() is never called")
    size = bench.batch_sizes[0]
    loaded = (await bench.call("load", f"load({size})", batch_size=size))["loaded_batch_size"]
    try:
        answer = await bench.call("benchmark", f"benchmark at batch size {size}", batch_size=size)
    except BackendFailed as failure:
        if NOT_WRITTEN not in str(failure):
            raise
        fix = "write benchmark(dataloader), or let is_qs_mode_supported() return True"
        return failed("QS mode is not supported, and benchmark is not written", fix)
    workload = bench.prepared.workload
    return judge(answer, loaded, workload.clients, workload.iterations)


def judge(answer: Any, batch_size: int, clients: int, iterations: int) -> Outcome:
    """`answer`: a dict or a list of dicts, in any spelling that a run understands; at that batch
    size, asked of those clients.
    """
    from qs.result.doubts import doubts
    from qs.result.vendor_numbers import EXPECTED, read

    fix = f"return a dict (or a list of them) with BS, {', '.join(EXPECTED)}; items/s and milliseconds"
    rows = answer if isinstance(answer, list) else [answer]
    problems = [] if rows else [Problem("benchmark gives an empty list", fix)]
    good: list[str] = []
    for row in rows:
        if not isinstance(row, dict):
            problems.append(Problem(f"benchmark gives {type(row).__name__}", fix))
            continue
        numbers = read(row)
        problems += [Problem(fault, fix) for fault in numbers.faults]
        if numbers.missing:
            problems.append(Problem(f"benchmark gives no {', '.join(numbers.missing)}", fix))
        good.append(", ".join(f"{key} {value:g}" for key, value in numbers.known.items()))
        for doubt in doubts(numbers.known, batch_size, clients, iterations):
            if doubt.contradiction:
                problems.append(Problem(doubt.text, "take both from the same measurement"))
            else:
                good.append(doubt.text)
    return judged(problems, "; ".join(good))
