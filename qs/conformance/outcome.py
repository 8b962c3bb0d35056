"""The outcome of a check: pass, fail or skip, the reason, and how to fix it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PASS, FAIL, SKIP = "pass", "fail", "skip"


@dataclass(frozen=True)
class Outcome:
    status: str
    reason: str
    fix: str = ""
    # whether checks that need this one have nothing to look at
    blocks: bool = False


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    reason: str
    fix: str


def passed(reason: str) -> Outcome:
    return Outcome(PASS, reason)


def skipped(reason: str) -> Outcome:
    return Outcome(SKIP, reason, blocks=True)


def failed(reason: str, fix: str, blocks: bool = True) -> Outcome:
    return Outcome(FAIL, reason, fix, blocks)


def judged(problems: Sequence[Problem], good: str, blocks: bool = True) -> Outcome:
    """Failed with all problems, each distinct fix once; passed with `good` if there are none."""
    if not problems:
        return passed(good)
    reasons = "; ".join(problem.reason for problem in problems)
    return failed(reasons, "; ".join(dict.fromkeys(problem.fix for problem in problems)), blocks)
