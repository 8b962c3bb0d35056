"""Per-operator counters, as a compile result states them under `operators`: for any backend whose
runtime can tell what each operator of the graph took.

They are taken from inferences of their own, before the measured part: counting costs time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST = 1000


def operators_of(
    inferences: Sequence[Sequence[Mapping[str, Any]]], batch_size: int
) -> dict[str, Any]:
    """What a compile result has under `operators`: mean times, the longest first.

    inferences  of each one its executed operators: {"name", "type", "implementation", "time_us"}
    batch_size  that they were made with

    Returns {"batch_size", "inferences", "total_us", "rows": [{"name", "type", "implementation",
    "time_us", "share"}]}: times in us of one inference, `share` of total_us, which is the sum of
    all operators, also of those beyond MOST rows.
    """
    times: dict[tuple[str, str, str], float] = {}
    for inference in inferences:
        for each in inference:
            key = (str(each["name"]), str(each["type"]), str(each.get("implementation") or ""))
            times[key] = times.get(key, 0.0) + float(each["time_us"])
    count = max(1, len(inferences))
    total = sum(times.values()) / count
    rows = [
        {
            "name": name,
            "type": kind,
            "implementation": implementation,
            "time_us": time_us / count,
            "share": time_us / count / total if total else 0.0,
        }
        for (name, kind, implementation), time_us in sorted(
            times.items(), key=lambda item: (-item[1], item[0])
        )
    ]
    return {
        "batch_size": batch_size,
        "inferences": len(inferences),
        "total_us": total,
        "rows": rows[:MOST],
    }
