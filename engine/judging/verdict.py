"""Whether a result may be called valid, and if not, why: every reason in plain words with what was
measured.
"""

from __future__ import annotations

from qs.engine.conduct.stopping import BUDGET
from qs.engine.result import RunResult


def judge(result: RunResult) -> None:
    """Add the reasons that make a result INVALID. A time limit that ended a run early is no reason:
    the counts say so.

    Failures within a stated error budget are none either.
    """
    if not result.completed:
        result.reasons.append("no request completed")
    if result.errors and not any(rule.name == BUDGET and rule.passed for rule in result.rules):
        kinds = ", ".join(
            f"{count} {kind}" for kind, count in sorted(result.errors_by_kind.items()) if count
        )
        total = result.errors + result.completed
        result.reasons.append(f"{result.errors} of {total} requests failed ({kinds})")
    if result.interrupted:
        result.reasons.append("the run was interrupted before its end")
    result.reasons += [rule.sentence() for rule in result.rules if not rule.passed]
