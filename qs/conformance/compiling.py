"""Before loading: the questions of the interact profile can be asked, and the compile result has
the keys that a report reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.config.compile_result import check_compile_result
from qs.config.interact import Profile, load_interact, parse_profile
from qs.conformance.outcome import Outcome, Problem, judged


def judge_profile(raw: Any, file: Path) -> Outcome:
    """`raw` is what get_interact_profile returned, `file` the folder's own NAME.json."""
    problems: list[Problem] = []
    notes: list[str] = []
    profile = Profile()
    for source, read in (
        (file.name, lambda: load_interact(file)),
        ("get_interact_profile()", lambda: parse_profile(raw, "get_interact_profile()")),
    ):
        fix = f"correct the questions of {source}"
        try:
            profile, warnings = read()
        except UserError as error:
            problems.append(Problem(" ".join(str(error).split()), fix))
            continue
        problems += [Problem(text, fix) for text in warnings]
        notes += [
            f"{question.name} has no default: without a terminal it is left out"
            for question in profile.questions
            if question.default is None
        ]
    count = len(profile.questions)
    good = f"{count} question{'' if count == 1 else 's'}" if count else "it asks nothing"
    return judged(problems, "; ".join([good, *dict.fromkeys(notes)]), blocks=False)


def judge_compile(raw: dict[str, Any], batch_sizes: list[int]) -> Outcome:
    """Missing keys are mentioned and forgiven, as `qs run` does; wrong ones are faults, but do not
    keep the other checks from running.
    """
    checked = check_compile_result(raw, "the compile result")
    problems = [
        Problem(str(fault), f"let compile give {fault.allowed} as {fault.key}")
        for fault in checked.faults
    ]
    result = checked.value
    if result is None:
        return judged(problems, "", blocks=False)
    if not result.succeeded:
        fix = 'give "success" once every subgraph compiles: a run is INVALID until then'
        problems.append(Problem(f"compile_status is {result.compile_status!r}", fix))
    good = [f"{result.compile_precision}, batch sizes {', '.join(map(str, batch_sizes))}"]
    missing = sorted(set(batch_sizes) - set(result.compiled_batch_sizes))
    if result.segments and missing:
        good.append(f"no artifact of their own for {', '.join(map(str, missing))}")
    if result.fallbacks:
        good.append(f"on the CPU: segments {', '.join(map(str, result.fallbacks))}")
    return judged(problems, "; ".join([*good, *checked.warnings]), blocks=False)
