"""Reads what a backend's own `benchmark` returned: ByteMLPerf's numbers, under any of the spellings
that vendors use.

A number that cannot be read is refused with its key and what is allowed, and never guessed. Whether
the numbers can be true is checked in qs.result.doubts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qs.base.words import number

_LATENCIES = {
    "avg": "AVG Latency",
    "average": "AVG Latency",
    "mean": "AVG Latency",
    "min": "Min Latency",
    "max": "Max Latency",
    "p50": "P50 Latency",
    "p90": "P90 Latency",
    "p95": "P95 Latency",
    "p99": "P99 Latency",
    "p99.9": "P99.9 Latency",
}
_COUNTS = {
    "bs": "BS",
    "batch size": "BS",
    "batchsize": "BS",
    "iterations": "Iterations",
    "completed": "Completed",
    "samples": "Completed",
    "clients": "Clients",
    "threads": "Clients",
}
_NUMBER = re.compile(
    r"\s*([-+]?(?:\d[\d,_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:nan|inf|infinity))\s*(.*?)\s*",
    re.I,
)
_IN_MS = {"": 1.0, "ms": 1.0, "s": 1e3, "sec": 1e3, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ns": 1e-6}
_PER_S = ("", "qps", "/s", "fps", "ips", "items/s", "samples/s", "queries/s", "images/s", "seq/s")
EXPECTED = ("QPS", "AVG Latency", "P99 Latency")


@dataclass
class VendorNumbers:
    """A benchmark's answer as it was understood."""

    # Under their published names.
    known: dict[str, float | int] = field(default_factory=dict)
    # What could not be read.
    faults: list[str] = field(default_factory=list)
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """Which of the three published numbers the backend did not state at all."""
        named = {name for key in self.given if (name := _published(str(key))[0])}
        return [name for name in EXPECTED if name not in named]


def read(given: Mapping[str, Any]) -> VendorNumbers:
    """Read one dict of a benchmark's answer. Keys of the vendor's own are in `given` only."""
    numbers = VendorNumbers(given=dict(given))
    for key, value in given.items():
        name, unit = _published(str(key))
        if name is None:
            continue
        try:
            stated = _number(value, name, unit)
        except ValueError as error:
            numbers.faults.append(f"benchmark: {key} is {value!r:.60}; {error}")
            continue
        known = numbers.known.setdefault(name, stated)
        if known != stated:
            numbers.faults.append(
                f"benchmark: {key} says {number(stated, 6)}, but {name} was {number(known, 6)}"
            )
    return numbers


def _published(key: str) -> tuple[str | None, str]:
    """The published name of a key, and the unit that the key itself states: "avg_latency(us)" ->
    "AVG Latency", "us".
    """
    text = re.sub(r"[\s_\-]+", " ", key.strip().lower())
    unit = ""
    stated = re.fullmatch(r"(.*?)\s*[(\[]\s*([^)\]]*?)\s*[)\]]", text)
    if stated:
        text, unit = stated.groups()
    elif text.endswith((" ms", " us", " ns")):
        text, _, unit = text.rpartition(" ")
    if text in ("qps", "throughput"):
        return "QPS", unit
    if text in _COUNTS:
        return _COUNTS[text], unit
    words = [word for word in text.split(" ") if word not in ("latency", "lat")]
    if len(words) == 1 and words[0] in _LATENCIES:
        return _LATENCIES[words[0]], unit
    return None, ""


def _number(value: Any, name: str, unit: str) -> float | int:
    if isinstance(value, bool) or value is None:
        raise ValueError("allowed: a number")
    if isinstance(value, (int, float)):
        number, said = float(value), ""
    elif isinstance(value, str) and (match := _NUMBER.fullmatch(value)):
        number, said = (
            float(match.group(1).replace(",", "").replace("_", "")),
            match.group(2).lower(),
        )
    else:
        raise ValueError("allowed: a number")
    if said and unit and said != unit:
        raise ValueError(f"its name says {unit}")
    unit = said or unit
    if not math.isfinite(number) or number <= 0:
        raise ValueError("allowed: a number above 0")
    if name in _COUNTS.values():
        if unit or number != int(number):
            raise ValueError("allowed: a whole number")
        return int(number)
    if name == "QPS":
        if unit not in _PER_S:
            raise ValueError(f"allowed: items per second, {', '.join(filter(None, _PER_S))}")
        return number
    if unit not in _IN_MS:
        raise ValueError(f"allowed: a time in {', '.join(filter(None, _IN_MS))}")
    return number * _IN_MS[unit]
