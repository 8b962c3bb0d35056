"""Rows of `Performance` that come from a backend's own `benchmark`, and its numbers beside those of
our engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qs.result.doubts import doubts, in_flight
from qs.result.vendor_numbers import EXPECTED, read

VENDOR, AUDIT, QS = "vendor", "audit", "QS"
NOT_COMPARABLE = "timed by the backend itself, in its own way: not comparable with rows of mode QS"


def vendor_part(
    given: Mapping[str, Any], batch_size: int, clients: int, iterations: int | None
) -> dict[str, Any]:
    """One dict of a benchmark's answer under the published names, with what is to be said about it.
    Latencies in ms.
    """
    numbers = read(given)
    size = int(numbers.known.get("BS", batch_size))
    found = doubts(numbers.known, size, clients, iterations)
    reasons = [*numbers.faults, *(doubt.text for doubt in found if doubt.contradiction)]
    warnings = [doubt.text for doubt in found if not doubt.contradiction]
    if "QPS" in numbers.missing:
        reasons.append("benchmark gave no QPS")
    absent = [name for name in numbers.missing if name != "QPS"]
    if absent:
        warnings.append(f"benchmark gave no {' and no '.join(absent)}")
    if size != batch_size:
        warnings.append(f"benchmark says that its batch size was {size}, loaded is {batch_size}")
    return {
        "BS": size,
        **{name: numbers.known.get(name) for name in EXPECTED},
        **{name: value for name, value in numbers.known.items() if name not in ("BS", *EXPECTED)},
        "Queries In Flight": in_flight(numbers.known, size),
        "Flags": [doubt.code for doubt in found],
        "Verdict": "INVALID" if reasons else "VALID",
        "Reasons": reasons,
        "Warnings": warnings,
        "Vendor Answer": dict(given),
    }


def vendor_row(
    given: Mapping[str, Any], batch_size: int, clients: int, iterations: int | None
) -> dict[str, Any]:
    """A row that the backend timed itself."""
    part = vendor_part(given, batch_size, clients, iterations)
    return {
        **part,
        "Mode": VENDOR,
        "Outcome": "done",
        "Warnings": [NOT_COMPARABLE, *part["Warnings"]],
        "Histogram": None,
    }


def failed_row(batch_size: int, reason: str, outcome: str) -> dict[str, Any]:
    """A row of a benchmark that gave no numbers."""
    return {
        "BS": batch_size,
        **dict.fromkeys(EXPECTED),
        "Mode": VENDOR,
        "Outcome": outcome,
        "Verdict": "INVALID",
        "Reasons": [reason],
        "Warnings": [],
        "Histogram": None,
    }


def beside(row: Mapping[str, Any], vendor: Mapping[str, Any]) -> dict[str, Any]:
    """What an audit adds to the engine's row: the backend's own numbers, and by how many percent
    they differ from ours.

    A difference is (vendor's / ours - 1) x 100. What speaks against the vendor's numbers is a
    warning: ours stay valid.
    """
    difference = {
        name: (vendor[name] / row[name] - 1) * 100 if vendor.get(name) and row.get(name) else None
        for name in EXPECTED
    }
    said = [
        f"the backend's own numbers: {text}"
        for text in (*vendor.get("Reasons", ()), *vendor.get("Warnings", ()))
    ]
    return {
        "Mode": AUDIT,
        "Vendor": {name: value for name, value in vendor.items() if name != "Verdict"},
        "Difference Percent": difference,
        "Warnings": [*row["Warnings"], *said],
    }
