"""Whether the answers are right, in one line for every view."""

from __future__ import annotations

import math

from qs.base.words import number
from qs.result.story import Answers

COSINE = "Cosine Similarity"
AGREES = 0.999999  # a cosine from which on outputs are the reference's but for rounding


def answers_line(found: Answers) -> str:
    """Top-1 0.987 [0.971, 0.994], expected 0.9867; agrees with fp32 (cosine 1.0000000, largest
    difference 3.81e-6). Empty if nothing was to be measured.
    """
    return "; ".join(filter(None, (_metrics(found), _agreement(found))))


def _metrics(found: Answers) -> str:
    if found.not_measured:
        return f"accuracy not measured: {found.not_measured}"
    said = []
    for each in found.metrics:
        ends = each.interval and ", ".join(number(end, 3) for end in each.interval)
        known = found.expected.get(each.name)
        said.append(
            f"{each.name} {number(each.value, 3)}"
            + (f" [{ends}]" if ends else "")
            + (f", expected {number(known, 4)}" if known is not None else "")
        )
    return "; ".join(said)


def _agreement(found: Answers) -> str:
    if found.not_compared:
        return f"agreement with fp32 not measured: {found.not_compared}"
    if not found.outputs:
        return ""
    faults = [each.fault for each in found.outputs if each.fault]
    if faults:
        return f"does not agree with fp32: {faults[0]}"
    figures = {each.name: each.value for each in found.agreement}
    cosine = figures.get(COSINE)
    said = []
    if cosine is not None:
        # Cut, not rounded: only what is 1 is shown as 1.
        said.append(f"cosine {math.floor(cosine * 1e7 + 1e-6) / 1e7:.7f}")
    if figures.get("Max Diff") is not None:
        said.append(f"largest difference {number(figures['Max Diff'])}")
    how = "agrees with fp32" if cosine is not None and cosine >= AGREES else "against fp32"
    return f"{how} ({', '.join(said)})" if said else ""
