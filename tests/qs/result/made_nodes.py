"""Cases that ran on any number of nodes, made up: some slow, some lost, clocks off."""

from __future__ import annotations

import random
from typing import Any

from qs.result.result import Result
from tests.qs.result.made import small

FACTS = {
    "machine": "m0",
    "python": "3.11.2",
    "cpu_model": "EPYC 7763",
    "cores": 8.0,
    "governor": "performance",
    "versions": {"numpy": "2.1.0", "qs": "0.1.0"},
}

LONG = " by the kernel, which had no memory left for it: /var/lib/kubelet/pods/" + "d41d8cd9" * 9


def node(
    number: int, seconds: int = 20, slow: float = 1.0, lost: str = "", opened: bool = True
) -> dict[str, Any]:
    """One entry, as a saved result has it."""
    draw = random.Random(number)
    until = 12 if lost else seconds
    rate = 1000.0 + draw.uniform(-20, 20)
    p99 = slow * (4.0 + draw.uniform(-0.3, 0.3))
    made: dict[str, Any] = {
        "name": f"worker-{number}",
        "address": f"10.0.0.{number % 250}",
        "share": f"part {number + 1}",
        "queries_per_s": rate,
        "items_per_s": 8 * rate,
        "completed": int(rate * until),
        "errors": 5 if lost else 0,
        "mean_ms": slow * 2.1,
        "p50_ms": slow * (2.0 + draw.uniform(-0.1, 0.1)),
        "p99_ms": p99,
        "max_ms": 3 * p99,
        "cpu_use": {"elapsed_s": 20.0, "host_cpus": 8, "host_busy_s": 80.0 * slow},
        "ended_by": "node lost" if lost else "duration",
        "start_skew_ms": draw.uniform(-0.05, 0.2),
        "clock": {
            "offset_ms": draw.uniform(-3000, 3000),
            "uncertainty_ms": 0.04 + 0.02 * (number % 3),
            "drift_ppm": draw.uniform(-20, 20),
            "round_trips": 300,
            "least_round_trip_ms": 0.07,
        },
        "facts": FACTS | {"machine": f"m{number}", "cores": 4.0 if slow > 1 else 8.0},
        "log": f"nodes/fp32-worker-{number}.log",
        "series": {
            "at_s": [float(at) for at in range(until)],
            "end_s": float(until),
            "per_s": [rate * draw.uniform(0.95, 1.05) for _ in range(until)],
            "p99_ms": [p99 * draw.uniform(0.9, 1.3) for _ in range(until)],
            "errors": [0] * until,
        },
    }
    if opened:
        made |= {"offered_per_s": rate, "service_p99_ms": 0.8 * p99, "lateness_p99_ms": 0.05}
    if lost:
        made |= {"lost": lost, "lost_at_s": 12.6, "kept_until_s": 12.0}
    return made


def row(nodes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The row of a case that ran on them."""
    rate = sum(each.get("queries_per_s") or 0.0 for each in nodes)
    lost = [each for each in nodes if each.get("lost")]
    reasons = [f"node {each['name']} was lost: {each['lost']}" for each in lost]
    return {
        "BS": 8,
        "QPS": 8 * rate,
        "AVG Latency": 2.2,
        "P50 Latency": 2.0,
        "P99 Latency": 5.0,
        "Scenario": "Poisson",
        "Clients": 4 * len(nodes),
        "Completed": sum(each.get("completed") or 0 for each in nodes),
        "Errors": sum(each.get("errors") or 0 for each in nodes),
        "Wall Time": 20.0,
        "Queries Per Second": rate,
        "Offered Queries Per Second": rate,
        "Node Count": len(nodes),
        "Nodes Lost": len(lost),
        "Start Skew": 0.2,
        "Clock Uncertainty": 0.08,
        "Nodes": nodes,
        "Verdict": "INVALID" if lost else "VALID",
        "Reasons": reasons,
    } | more


def spread(count: int, slow: int | None = None, lost: int | None = None, **more: Any) -> Result:
    """A load of so many nodes; one of them slow, one of them lost."""
    nodes = [
        node(
            each,
            slow=2.6 if each == slow else 1.0,
            lost=f"its Ray node died: killed{LONG}" if each == lost else "",
        )
        for each in range(count)
    ]
    rows = [row(nodes, **more)]
    verdict = {"Verdict": rows[0]["Verdict"], "Reasons": []}
    return small(rows, Kind="load", **verdict)
