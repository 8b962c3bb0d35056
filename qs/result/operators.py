"""What each operator of a graph took, as a backend's compile result states it."""

from __future__ import annotations

from typing import Annotated

from qs.result.part import Count, Lenient, Number, key, lenient


class OperatorTime(Lenient):
    """Mean time of one operator in one inference."""

    name: str | None = key("Name", None)
    type: str | None = key("Type", None)
    implementation: str | None = key("Implementation", None)
    time_us: Number = key("Time", None)
    share: Number = key("Share", None)


class Operators(Lenient):
    """Counters of inferences of their own, none of which is in a measured figure. Times in us."""

    batch_size: Count = key("Batch Size", None)
    inferences: Count = key("Inferences", None)
    total_us: Number = key("Total", None)
    rows: list[Annotated[OperatorTime, lenient(OperatorTime)]] = key("Rows", [])

    def longest(self, most: int) -> list[OperatorTime]:
        """Those that took longest, of which name, time and share are known."""
        known = [row for row in self.rows if row.name and row.time_us and row.share is not None]
        return sorted(known, key=lambda row: -(row.time_us or 0.0))[:most]

    def heading(self) -> str:
        """What they are, in words: "batch size 1, mean of 50 inferences, 284 us in all"."""
        parts = []
        if self.batch_size:
            parts.append(f"batch size {self.batch_size}")
        if self.inferences:
            parts.append(f"mean of {self.inferences} inferences")
        if self.total_us:
            parts.append(f"{self.total_us:,.0f} us in all")
        return ", ".join(parts)


def operators(stated: object) -> Operators | None:
    """From the key `operators` of a compile result; None if it has none."""
    if not isinstance(stated, dict):
        return None
    rows = stated.get("rows")
    return Operators.lenient(
        {
            "Batch Size": stated.get("batch_size"),
            "Inferences": stated.get("inferences"),
            "Total": stated.get("total_us"),
            "Rows": [
                OperatorTime.lenient(
                    {
                        "Name": each.get("name"),
                        "Type": each.get("type"),
                        "Implementation": each.get("implementation"),
                        "Time": each.get("time_us"),
                        "Share": each.get("share"),
                    }
                )
                for each in (rows if isinstance(rows, list) else [])
                if isinstance(each, dict)
            ][:1000],
        }
    )
