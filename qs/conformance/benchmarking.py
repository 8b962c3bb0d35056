"""The backend's own benchmark, where QS mode is not supported: it gives the numbers that a report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged, skipped

if TYPE_CHECKING:
    from qs.conformance.bench import Bench

NAME, ABOUT = "benchmark", "without QS mode, benchmark gives queries per second and latencies"
NEEDS: tuple[str, ...] = ("predict", "qs_config")
HOST = True
KEYS = ("QPS", "AVG Latency", "P99 Latency")


async def check(bench: Bench) -> Outcome:
    if (await bench.qs_mode())["supported"]:
        return skipped("QS mode is supported: benchmark() is never called")
    size = bench.batch_sizes[0]
    return judge(await bench.call("benchmark", f"benchmark at batch size {size}", batch_size=size))


def judge(answer: Any) -> Outcome:
    """`answer`: a dict or a list of dicts; "AVG_Latency" is also "AVG Latency"."""
    fix = f"return a dict (or a list of them) with BS, {', '.join(KEYS)}; items/s and milliseconds"
    rows = answer if isinstance(answer, list) else [answer]
    problems = []
    for row in rows:
        if not isinstance(row, dict):
            problems.append(Problem(f"benchmark gives {type(row).__name__}", fix))
            continue
        found = {str(key).replace("_", " ").casefold(): value for key, value in row.items()}
        for key in KEYS:
            value = found.get(key.casefold())
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0
            # A p99 of too few samples is rightly None.
            unsaid = key.startswith("P99") and value is None and "p99 latency" in found
            if not number and not unsaid:
                shown = repr(value) if key.casefold() in found else "missing"
                problems.append(Problem(f"{key} is {shown}", fix))
    if not rows:
        problems.append(Problem("benchmark gives an empty list", fix))
    return judged(
        problems, ", ".join(f"{key} {value}" for key, value in rows[0].items()) if not problems else ""
    )
