"""Leaks: loading the same batch size again and again keeps neither memory nor files nor threads."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged, skipped

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "leaks", "loading again and again keeps neither memory nor files nor threads"
NEEDS: tuple[str, ...] = ("predict",)
HOST = True
FIRST, LOADS = 3, 10  # not counted, counted
LONGEST_S, LEAST_LOADS = 60.0, 3
SPARE_BYTES = 16 << 20  # allocators, caches and a garbage collector that comes late
OF_MODEL = (
    0.5  # and that share of the model's file, over all loads: a leaked copy a load is far above
)


def observe(
    service: ConformanceService, batch_size: int, allowed_bytes: int
) -> dict[str, Any] | None:
    """What grew over the counted loads, each followed by a predict; None where the system does not
    say.

    Given up early where memory has grown by three times what is allowed: the machine is not to be
    filled.
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


def _load(service: ConformanceService, batch_size: int, opened: Any) -> None:
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


def allowed_growth(model_bytes: int) -> int:
    """Bytes that all counted loads together may keep."""
    return SPARE_BYTES + int(OF_MODEL * model_bytes)


def judge(seen: dict[str, Any] | None, allowed_bytes: int) -> Outcome:
    if seen is None:
        return skipped("this system does not say how much memory a process holds (no /proc)")
    loads, problems = seen["loads"], []
    if seen["memory"] > allowed_bytes:
        problems.append(
            Problem(
                f"memory grew by {_mb(seen['memory'])} over {loads} loads, allowed {_mb(allowed_bytes)}",
                "let go of what the last load made before the next one: sessions, buffers, device memory",
            )
        )
    for name, fix in (("files", "close them in load"), ("threads", "end them in load")):
        if seen[name] >= loads:
            problems.append(Problem(f"{seen[name]} more {name} are open after {loads} loads", fix))
    grew = f"memory grew by {_mb(max(seen['memory'], 0))} over {loads} loads (allowed {_mb(allowed_bytes)})"
    return judged(problems, f"{grew}, no files, no threads")


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


async def check(bench: Bench) -> Outcome:
    allowed, size = allowed_growth(bench.model_bytes), bench.batch_sizes[0]
    what = f"repeated load({size})"
    return judge(
        await bench.observe("resources", what, batch_size=size, allowed_bytes=allowed), allowed
    )
