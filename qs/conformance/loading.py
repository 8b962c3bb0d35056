"""Load: every batch size of the task loads, and the backend says which it has loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "load", "every batch size loads"
NEEDS: tuple[str, ...] = ("compile",)
HOST = True


def observe(service: ConformanceService, batch_size: int) -> dict[str, Any]:
    service.load(batch_size)
    said = service.backend.get_loaded_batch_size()
    whole = not isinstance(said, bool) and hasattr(said, "__index__")  # numpy's whole numbers too
    return {"loaded": int(said) if whole else None, "said": repr(said)}


def judge(seen: Mapping[int, dict[str, Any]]) -> Outcome:
    """`seen`: batch size asked for -> what was observed. Another size than asked for is allowed."""
    problems, good = [], [f"batch sizes {', '.join(map(str, seen))}"]
    for asked, about in seen.items():
        loaded = about["loaded"]
        if loaded is None or loaded < 1:
            problems.append(
                Problem(
                    f"after load({asked}), get_loaded_batch_size() gives {about['said']}",
                    "return the batch size that is loaded, a whole number of at least 1",
                )
            )
        elif loaded != asked:
            good.append(f"load({asked}) loads {loaded}, and batches of {loaded} are fed")
    return judged(problems, "; ".join(good))


async def check(bench: Bench) -> Outcome:
    return judge(
        {
            size: await bench.observe("loading", f"load({size})", batch_size=size)
            for size in bench.batch_sizes
        }
    )
