"""What a report says of its machine: one line, and every finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qs.doctor.finding import Finding, warned
from qs.doctor.self_benchmark import SelfBenchmark
from qs.settings.settings import Settings


def sentence(findings: Sequence[Finding], benchmark: SelfBenchmark | None, age: str = "") -> str:
    """fit, or what is in the way; and what it resolves, where that was measured."""
    doubts = warned(list(findings))
    first = (
        "nothing that was looked at stands in the way"
        if not doubts
        else "; ".join(f"{each.name}: {each.value}" for each in doubts)
    )
    if benchmark is None:
        return f"{first}. Not measured what differences it resolves: qs doctor"
    when = f" (qs doctor, {age})" if age else ""
    return (
        f"{first}. Differences between two runs below {benchmark.resolves:.1%} are noise here{when}"
    )


def machine_check(
    findings: Sequence[Finding], benchmark: SelfBenchmark | None, age: str = ""
) -> dict[str, Any]:
    """For a report: plain data."""
    return {
        "summary": sentence(findings, benchmark, age),
        "findings": [each.to_dict() for each in findings],
        "self_benchmark": None if benchmark is None else benchmark.to_dict(),
    }


def check_now(settings: Settings | None = None) -> dict[str, Any]:
    """The same for the run that is about to begin: a few milliseconds, and what the last
    self-benchmark found.
    """
    from qs.doctor import saved
    from qs.doctor.looking import look
    from qs.doctor.planned import Planned

    found = saved.last()
    return machine_check(
        look(Planned.of(settings)), found, "" if found is None else saved.age(found)
    )
