"""Ten seconds that say what this machine can resolve today: the engine's cost, its lateness, and
how far runs of a fixed kernel differ.

The kernel is a matrix product of one thread, run for a moment, again and again: nothing in it
changes, so what its speed does is the machine's. What two single runs must differ by to be told
apart follows from the spread between those moments: 2.8 standard deviations of a difference (1.96 x
sqrt 2; two-sided at 95 %).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

SECONDS = 10.0
MOMENTS = 10
KERNEL_SIDE = 192
RATE_PER_S = 1_000.0


@dataclass(frozen=True)
class SelfBenchmark:
    """engine_ns     the engine's cost of one request, that of a target that does nothing
    lateness_p50_ns, lateness_p99_ns   of requests at 1,000/s, after their due times
    spread          standard deviation between moments of the kernel, as a share of its speed
    resolves        the least difference between two runs that is more than this machine's noise, as
                    a share
    """

    engine_ns: float
    lateness_p50_ns: int
    lateness_p99_ns: int
    spread: float
    resolves: float
    took_s: float
    measured_at: float
    cpu: str
    cpus: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        return (
            f"engine {self.engine_ns:.0f} ns a request; at 1,000/s issued {self.lateness_p50_ns / 1e3:.0f} us late in the median, "
            f"p99 {self.lateness_p99_ns / 1e3:.0f} us; runs of a fixed kernel differ by {self.spread:.1%}: "
            f"two runs that differ by less than {self.resolves:.1%} cannot be told apart today"
        )


def measure(
    seconds: float = SECONDS, say: Callable[[str], None] = lambda text: None
) -> SelfBenchmark:
    """Half of the time for the kernel, between the moments of which the engine is measured, so that
    all of it is spread out.
    """
    from qs.base.machine import cpu_name, usable_cpus
    from qs.engine import ClosedLoop, Poisson, Pool, RunPlan, Stop, run

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
    """Vector arithmetic of one thread: numpy's own loops, which no library's thread pool takes part
    in.
    """
    import numpy as np

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
