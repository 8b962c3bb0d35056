"""Prints: how much a backend prints while it predicts. Never a failure, since it goes to the log;
at speed it costs time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qs.conformance.outcome import Outcome, passed

if TYPE_CHECKING:
    from qs.conformance.bench import Bench
    from qs.conformance.service import ConformanceService

NAME, ABOUT = "prints", "what predict prints, which goes to the log"
NEEDS: tuple[str, ...] = ("predict",)
HOST = True
CALLS = 5


def observe(service: ConformanceService, batch_size: int) -> None:
    opened = service.opened(batch_size, samples=1)
    for _ in range(CALLS):
        opened.raw(opened.samples[0])


def judge(begin: int, end: int) -> Outcome:
    """Bytes in the log, before the calls and after them."""
    each = (end - begin) / CALLS
    costs = "and its time goes into the latencies"
    if each < 0:
        return passed(f"predict prints so much that the log had to be shortened meanwhile, {costs}")
    if each:
        return passed(f"predict prints {each:,.0f} bytes a call: they go to the log, {costs}")
    if begin:
        return passed(
            f"predict prints nothing; the rest printed {begin:,} bytes, which went to the log"
        )
    return passed("nothing")


async def check(bench: Bench) -> Outcome:
    size = bench.batch_sizes[0]
    # Loading prints too: it comes before the count.
    await bench.call("load", f"load({size})", batch_size=size)
    begin = bench.log_bytes()
    await bench.observe(NAME, f"predict at batch size {size}", batch_size=size)
    return judge(begin, bench.log_bytes())
