"""Compile: the published steps end in a compile result whose keys a report can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qs.conformance.outcome import Outcome, Problem, judged

if TYPE_CHECKING:
    from qs.conformance.bench import Bench

NAME, ABOUT = "compile", "compile gives a result whose keys have the published names and types"
NEEDS: tuple[str, ...] = ("contract",)
HOST = True


async def check(bench: Bench) -> Outcome:
    compiled = await bench.compile()
    return judge(compiled.raw, compiled.configs["workload"]["batch_sizes"])


def judge(raw: dict[str, Any], batch_sizes: list[int]) -> Outcome:
    """Missing keys are said and forgiven, as `qs run` does; wrong ones are faults, though the rest
    can be tried.
    """
    from qs.config.compile_result import check_compile_result

    checked = check_compile_result(raw, "the compile result")
    problems = [
        Problem(str(fault), f"let compile give {fault.allowed} as {fault.key}")
        for fault in checked.faults
    ]
    result = checked.value
    if result is None:
        return judged(problems, "", blocks=False)
    if not result.succeeded:
        problems.append(
            Problem(
                f"compile_status is {result.compile_status!r}",
                'give "success" once every subgraph compiles: a run is INVALID until then',
            )
        )
    good = [f"{result.compile_precision}, batch sizes {', '.join(map(str, batch_sizes))}"]
    missing = sorted(set(batch_sizes) - set(result.compiled_batch_sizes))
    if result.segments and missing:
        good.append(f"no artifact of their own for {', '.join(map(str, missing))}")
    if result.fallbacks:
        good.append(f"on the CPU: segments {', '.join(map(str, result.fallbacks))}")
    return judged(problems, "; ".join([*good, *checked.warnings]), blocks=False)
