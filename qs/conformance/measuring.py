"""How the backend is to be measured: its QS config is one that the engine can drive; without QS
mode, its own benchmark gives the numbers that a report shows.
"""

from __future__ import annotations

from typing import Any

from qs.base.errors import Faults, UserError
from qs.base.words import number
from qs.config.qs_config import parse_qs_config
from qs.conformance.outcome import Outcome, Problem, failed, judged
from qs.result.doubts import doubts
from qs.result.vendor_numbers import EXPECTED, read

ORIGIN = "generate_qs_config()"


def judge_qs_config(seen: dict[str, Any]) -> Outcome:
    """`seen` is ConformanceService.stated_qs_mode's."""
    problems = []
    if not seen["is_bool"]:
        reason = f"is_qs_mode_supported() gives {seen['said']}"
        problems.append(Problem(reason, "return True or False"))
    if not seen["supported"]:
        return judged(problems, "QS mode is not supported: benchmark() is called", blocks=False)
    config = seen["config"] or {}
    try:
        parse_qs_config(config, ORIGIN)
    except Faults as faults:
        problems += [
            Problem(str(fault), f"correct {fault.key} in {ORIGIN}") for fault in faults.faults
        ]
    except UserError as error:
        problems.append(Problem(str(error), f"let {ORIGIN} return a dict"))
    stated = (
        ", ".join(f"{key} {value}" for key, value in config.items())
        if isinstance(config, dict)
        else ""
    )
    return judged(problems, stated or "all left to defaults", blocks=False)


def no_benchmark() -> Outcome:
    fix = "write benchmark(dataloader), or let is_qs_mode_supported() return True"
    return failed("QS mode is not supported, and benchmark is not written", fix)


def judge_benchmark(answer: Any, batch_size: int, clients: int, iterations: int) -> Outcome:
    """`answer`: a dict or a list of dicts, in any spelling that a run understands, measured at that
    batch size with that load.
    """
    keys = ", ".join(EXPECTED)
    fix = f"return a dict (or a list of them) with BS, {keys}; items/s and milliseconds"
    rows = answer if isinstance(answer, list) else [answer]
    problems = [] if rows else [Problem("benchmark gives an empty list", fix)]
    good: list[str] = []
    for row in rows:
        if not isinstance(row, dict):
            problems.append(Problem(f"benchmark gives {type(row).__name__}", fix))
            continue
        numbers = read(row)
        problems += [Problem(fault, fix) for fault in numbers.faults]
        if numbers.missing:
            problems.append(Problem(f"benchmark gives no {', '.join(numbers.missing)}", fix))
        good.append(", ".join(f"{key} {number(value, 6)}" for key, value in numbers.known.items()))
        for doubt in doubts(numbers.known, batch_size, clients, iterations):
            if doubt.contradiction:
                problems.append(Problem(doubt.text, "take both from the same measurement"))
            else:
                good.append(doubt.text)
    return judged(problems, "; ".join(good))
