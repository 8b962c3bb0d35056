"""Rows that come from a backend's own `benchmark`, and its numbers beside those of our engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qs.result.doubts import doubts, in_flight
from qs.result.row import Mode, Outcome, Row, VendorPart
from qs.result.vendor_numbers import EXPECTED, read
from qs.result.verdict import DoubtEntry, Verdict

NOT_COMPARABLE = DoubtEntry(
    code="vendor_timed",
    text="timed by the backend itself, in its own way: not comparable with rows of mode QS",
    cure="--engine always",
)
OF_VENDOR = "vendor_numbers"  # the code of what speaks against a backend's own numbers


def vendor_part(
    given: Mapping[str, Any], batch_size: int, clients: int, iterations: int | None
) -> VendorPart:
    """One dict of a benchmark's answer under the published names, with what is to be said about it.

    batch_size            the one that was loaded
    clients, iterations   what the workload asks for
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
    figures = VendorPart.model_validate(dict.fromkeys(EXPECTED) | numbers.known | {"BS": size})
    return figures.changed(
        queries_in_flight=in_flight(numbers.known, size),
        flags=[doubt.code for doubt in found],
        reasons=reasons,
        warnings=warnings,
        vendor_answer=dict(given),
    )


def vendor_row(
    given: Mapping[str, Any],
    batch_size: int,
    clients: int,
    iterations: int | None,
    requested_batch_size: int | None = None,
) -> Row:
    """A row that the backend timed itself."""
    part = vendor_part(given, batch_size, clients, iterations)
    asked = requested_batch_size or batch_size
    return Row.model_validate(
        part.to_dict()
        | {
            "Mode": Mode.VENDOR,
            "Outcome": Outcome.DONE,
            "Verdict": Verdict.INVALID if part.reasons else Verdict.VALID,
            "Warnings": [],
            "Histogram": None,
        }
        | ({} if asked == batch_size else {"Requested BS": asked})
    ).doubted(NOT_COMPARABLE, *(DoubtEntry(code=OF_VENDOR, text=text) for text in part.warnings))


def failed_row(batch_size: int, reason: str, outcome: Outcome) -> Row:
    """A row of a benchmark that gave no numbers."""
    return Row(
        batch_size=batch_size,
        items_per_s=None,
        mean_ms=None,
        p99_ms=None,
        mode=Mode.VENDOR,
        verdict=Verdict.INVALID,
        reasons=[reason],
        warnings=[],
        histogram=None,
        outcome=outcome,
    )


def audited(row: Row, vendor: VendorPart) -> Row:
    """The engine's row with the backend's own numbers beside it, and by how many percent they
    differ from ours: (vendor's / ours - 1) x 100.

    What speaks against the vendor's numbers is a warning: ours stay valid.
    """
    ours, theirs = row.numbers(), vendor.numbers()
    difference = {
        name: (theirs[name] / ours[name] - 1) * 100 if theirs.get(name) and ours.get(name) else None
        for name in EXPECTED
    }
    against = [
        DoubtEntry(code=OF_VENDOR, text=f"the backend's own numbers: {text}")
        for text in vendor.reasons + vendor.warnings
    ]
    return row.changed(mode=Mode.AUDIT, vendor=vendor, difference_percent=difference).doubted(
        *against
    )


def not_audited(row: Row, reason: str) -> Row:
    """The engine's row, where the backend gave no numbers of its own."""
    return audited(row, VendorPart(not_measured=reason, warnings=[reason]))
