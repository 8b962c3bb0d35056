"""Load-test a function: how fast it is when called in a loop, and how long users would wait if
they arrived at random.

    python examples/load_test_a_function.py
"""

from __future__ import annotations

import json
from typing import Any

from qs.engine import ClosedLoop, Poisson, Pool, RunPlan, Stop, run

ORDERS = [
    {"order": number, "lines": [{"item": item, "count": 2} for item in range(40)]}
    for number in range(10)
]


def encode(order: dict[str, Any]) -> str:
    """What is tested: any callable that takes one sample."""
    return json.dumps(order)


def main() -> None:
    # Closed loop: one client that calls again as soon as it has an answer. It shows the highest
    # rate of one caller.
    closed = run(
        RunPlan(
            load=ClosedLoop(clients=1, iterations=20_000),
            pool=Pool("inline"),
            warmup_iterations=100,
        ),
        encode,
        ORDERS,
    )
    print(
        f"closed loop: {closed.queries_per_s:,.0f} queries/s, service time p99 "
        f"{closed.service.percentile_ns(99) / 1e3:.0f} us"
    )

    # Open loop: requests are due at random times, whether or not the function keeps up. Response
    # time counts from the due time.
    plan = RunPlan(
        load=Poisson(rate_per_s=2_000, seed=1), stop=Stop(duration_s=2), warmup_iterations=100
    )
    opened = run(plan, encode, ORDERS)
    for name, times in (("response", opened.response), ("service", opened.service)):
        p50, p99 = times.percentile_ns(50) / 1e3, times.percentile_ns(99) / 1e3
        print(
            f"2,000/s at random: {name} time p50 {p50:.0f} us, p99 {p99:.0f} us over "
            f"{times.count:,} requests"
        )
    print(f"{opened.verdict}; {len(opened.warnings)} warnings")
    for warning in opened.warnings:
        print(f"  {warning}")


if __name__ == "__main__":
    main()
