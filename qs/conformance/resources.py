"""Resources: loading again and again keeps neither memory nor files nor threads; and how much a
backend prints while it predicts, which is never a failure but costs time.
"""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Any

from qs.conformance.outcome import Outcome, Problem, judged, passed, skipped
from qs.conformance.service import ConformanceService, LoadedInstance

FIRST, LOADS = 3, 10  # not counted, counted
LONGEST_S, LEAST_LOADS = 60.0, 3
SPARE_BYTES = 16 << 20  # allocators, caches and a garbage collector that comes late
# Also allowed, over all loads together: a leaked copy at each load is far above it.
OF_MODEL = 0.5
CALLS = 5


def allowed_growth(model_bytes: int) -> int:
    """Bytes that all counted loads together may keep."""
    return SPARE_BYTES + int(OF_MODEL * model_bytes)


def observe_leaks(
    service: ConformanceService, batch_size: int, allowed_bytes: int
) -> dict[str, Any] | None:
    """What grew over the counted loads, each followed by a predict; None if the system does not
    say.

    Ends early when memory has grown by three times what is allowed, so as not to fill the machine.
    """
    if not Path("/proc/self/statm").exists():
        return None
    opened = service.opened(batch_size, samples=1)
    for _ in range(FIRST):
        _load(service, batch_size, opened)
    before = _held()
    begin, loads = time.monotonic(), 0
    while loads < LOADS and (loads < LEAST_LOADS or time.monotonic() - begin < LONGEST_S):
        _load(service, batch_size, opened)
        loads += 1
        if _held()["memory"] - before["memory"] > 3 * allowed_bytes:
            break
    after = _held()
    return {"loads": loads, **{name: after[name] - before[name] for name in after}}


def _load(service: ConformanceService, batch_size: int, opened: LoadedInstance) -> None:
    service.backend.load(batch_size)
    opened.raw(opened.samples[0])


def _held() -> dict[str, int]:
    """Resident bytes, open files and threads of this process (Linux)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
    }


def judge_leaks(seen: dict[str, Any] | None, allowed_bytes: int) -> Outcome:
    if seen is None:
        return skipped("this system does not say how much memory a process holds (no /proc)")
    loads, allowed, problems = seen["loads"], _mb(allowed_bytes), []
    if seen["memory"] > allowed_bytes:
        reason = f"memory grew by {_mb(seen['memory'])} over {loads} loads, allowed {allowed}"
        fix = (
            "release what the last load made before the next one: sessions, buffers, device memory"
        )
        problems.append(Problem(reason, fix))
    for name, fix in (("files", "close them in load"), ("threads", "end them in load")):
        if seen[name] >= loads:
            problems.append(Problem(f"{seen[name]} more {name} are open after {loads} loads", fix))
    grew = f"memory grew by {_mb(max(seen['memory'], 0))} over {loads} loads (allowed {allowed})"
    return judged(problems, f"{grew}, no files, no threads")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def observe_prints(service: ConformanceService, batch_size: int) -> None:
    """A few calls, whose printing the log then shows."""
    opened = service.opened(batch_size, samples=1)
    for _ in range(CALLS):
        opened.raw(opened.samples[0])


def judge_prints(begin: int, end: int) -> Outcome:
    """Bytes in the log, before the calls and after them."""
    each = (end - begin) / CALLS
    costs = "and the time this takes is part of the latencies"
    if each < 0:
        return passed(f"predict prints so much that the log had to be shortened meanwhile, {costs}")
    if each:
        return passed(f"predict prints {each:,.0f} bytes a call: they go to the log, {costs}")
    if begin:
        printed = f"the rest printed {begin:,} bytes, which went to the log"
        return passed(f"predict prints nothing; {printed}")
    return passed("nothing")
