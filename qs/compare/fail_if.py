"""Conditions of `--fail_if`: slower:5% (any figure), p99.slower:10%, throughput.slower:3%."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.compare.difference import SLOWER
from qs.compare.metrics import NAMES
from qs.compare.verdict import Case

FLAG = "--fail_if"
ALLOWED = (
    "slower:5%, or of one figure: p99.slower:10%, throughput.slower:3%; with commas between several"
)
_CONDITION = re.compile(r"(?:(?P<metric>.+)\.)?(?P<word>\w+):(?P<share>[^:%]+)%?")


@dataclass(frozen=True)
class Condition:
    """Holds where a figure is slower, beside all others that were compared, and by at least
    `share`. `metric` None: any figure.
    """

    share: float
    metric: str | None = None

    def __str__(self) -> str:
        return f"{self.metric + '.' if self.metric else ''}slower:{self.share * 100:g}%"

    def met_by(self, cases: Iterable[Case]) -> list[str]:
        """Where it holds, in words; empty where it does not."""
        return [
            f"{case.title}: {each.metric.name} {each.change * 100:+.1f} %"
            for case in cases
            for each, stands in zip(case.differences, case.stands)
            if stands
            and each.verdict == SLOWER
            and self.metric in (None, each.metric.name)
            and each.change is not None
            and (each.worse or 0.0) >= self.share
        ]


def parse_conditions(texts: Iterable[str], margin: float) -> tuple[Condition, ...]:
    """One condition a text, or several with commas. Raises Faults with all that is wrong with them."""
    conditions: list[Condition] = []
    faults: list[Fault] = []
    for part in (part.strip() for text in texts for part in text.split(",")):
        found = _condition(part, margin)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            conditions.append(found)
    if faults:
        raise Faults(faults)
    return tuple(conditions)


def met(conditions: Sequence[Condition], cases: Sequence[Case]) -> list[str]:
    """All that holds, one line each."""
    return [
        f"{condition}: {where}" for condition in conditions for where in condition.met_by(cases)
    ]


def _condition(text: str, margin: float) -> Condition | Fault:
    matched = _CONDITION.fullmatch(text.lower())
    if matched is None or matched["word"] != SLOWER:
        return Fault(FLAG, "", text, ALLOWED)
    metric = matched["metric"]
    if metric is not None and metric not in NAMES:
        return Fault(
            FLAG, "", text, f"a figure among {', '.join(NAMES)}", nearest=nearest(metric, NAMES)
        )
    percent = text.endswith("%")
    try:
        share = float(matched["share"]) / (100.0 if percent else 1.0)
    except ValueError:
        return Fault(FLAG, "", text, ALLOWED)
    if not (math.isfinite(share) and share > 0.0 and (percent or share < 1.0)):
        return Fault(FLAG, "", text, "a share above 0, such as 5% or 0.05")
    if share < margin:
        hint = f"differences within the margin of {margin * 100:g} % are called the same: add --margin {share * 100:g}%"
        return Fault(FLAG, "", text, f"at least the margin, {margin * 100:g}%", hint=hint)
    return Condition(share, metric)
