"""Ten seconds that say what this machine can resolve today: the engine's cost, its lateness, and
how far runs of a fixed kernel differ. The last result is kept in the user's data folder, where
comparisons and reports read it.

The kernel is vector arithmetic of one thread, run for a moment, again and again: it never changes,
so changes of its speed are the machine's. The spread between those moments determines by how much
two single runs must differ to be told apart: 1.96 x sqrt 2 = 2.8 standard deviations (two-sided, at
95 %).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.cache import data_dir
from qs.base.errors import UserError
from qs.base.files import write_json
from qs.base.machine import cpu_name
from qs.base.words import short_time
from qs.engine import ClosedLoop, Poisson, Pool, RunPlan, Stop, run
from qs.engine.machine import usable_cpus

NAME = "self-benchmark.json"
SECONDS = 10.0
MOMENTS = 10
KERNEL_SIDE = 192
RATE_PER_S = 1_000.0


@dataclass(frozen=True)
class SelfBenchmark:
    # the engine's cost of one request to a target that does nothing
    engine_ns: float
    # of requests at 1,000/s, after their due times
    lateness_p50_ns: int
    lateness_p99_ns: int
    # standard deviation between moments of the kernel, as a share of its speed
    spread: float
    # the smallest difference between two runs that exceeds this machine's noise, as a share
    resolves: float
    took_s: float
    measured_at: float
    cpu: str
    cpus: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        late = f"{short_time(self.lateness_p50_ns)} late in the median"
        return (
            f"engine {short_time(self.engine_ns)} a request; "
            f"at 1,000/s issued {late}, p99 {short_time(self.lateness_p99_ns)}; "
            f"runs of a fixed kernel differ by {self.spread:.1%}: "
            f"two runs that differ by less than {self.resolves:.1%} cannot be told apart today"
        )

    def age(self) -> str:
        """How long ago it was measured, in words."""
        seconds = max(time.time() - self.measured_at, 0.0)
        for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
            if seconds >= 2 * length:
                return f"{seconds / length:.0f} {unit} ago"
        return "a moment ago"


def path() -> Path:
    return data_dir() / NAME


def save(found: SelfBenchmark) -> Path:
    """Keep it as this machine's last one. OSError if the folder cannot be written to."""
    write_json(path(), found.to_dict())
    return path()


def last() -> SelfBenchmark | None:
    """None if there is none, if it is damaged, or if it is another processor's."""
    from pydantic import TypeAdapter

    try:
        found = TypeAdapter(SelfBenchmark).validate_json(path().read_bytes(), strict=True)
    except (OSError, ValueError, UserError):
        return None
    return found if (found.cpu, found.cpus) == (cpu_name(), len(usable_cpus())) else None


def measure(
    seconds: float = SECONDS, say: Callable[[str], None] = lambda text: None
) -> SelfBenchmark:
    """Half of the time goes to the kernel. The engine is measured between its moments, so that they
    are spread over the whole time.
    """
    began = time.monotonic()
    kernel = _kernel()
    moment_s, engine_s = seconds / 2 / MOMENTS, seconds / 4
    speeds = []
    for number in range(MOMENTS):
        speeds.append(_per_s(kernel, moment_s))
        if number == MOMENTS // 3:
            say("the engine's cost")
            plan = RunPlan(
                load=ClosedLoop(),
                stop=Stop(duration_s=engine_s),
                pool=Pool("thread", workers=1),
                calibrate=False,
            )
            closed = run(plan, _nothing)
        if number == 2 * MOMENTS // 3:
            say("its lateness")
            plan = RunPlan(
                load=Poisson(RATE_PER_S, 0),
                stop=Stop(duration_s=engine_s),
                pool=Pool("thread", workers=1),
                calibrate=False,
            )
            opened = run(plan, _nothing)
    spread = statistics.stdev(speeds) / statistics.mean(speeds)
    return SelfBenchmark(
        engine_ns=closed.wall_s * 1e9 / max(closed.completed, 1),
        lateness_p50_ns=opened.lateness.percentile_ns(50),
        lateness_p99_ns=opened.lateness.percentile_ns(99),
        spread=spread,
        resolves=1.96 * math.sqrt(2) * spread,
        took_s=time.monotonic() - began,
        measured_at=time.time(),
        cpu=cpu_name(),
        cpus=len(usable_cpus()),
    )


def _nothing(sample: Any) -> None:
    pass


def _kernel() -> Callable[[], Any]:
    """Vector arithmetic in numpy's own loops, which use no library's thread pool."""
    left = np.random.default_rng(0).random((KERNEL_SIDE, KERNEL_SIDE))
    out = np.empty_like(left)

    def once() -> None:
        for _ in range(8):
            np.multiply(left, 1.0000001, out=out)
            np.sqrt(out, out=out)
            np.add(out, left, out=out)

    return once


def _per_s(kernel: Callable[[], Any], seconds: float) -> float:
    kernel()
    count, began = 0, time.perf_counter()
    until = began + seconds
    while (now := time.perf_counter()) < until:
        kernel()
        count += 1
    return count / (now - began)
