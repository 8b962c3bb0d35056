"""The conditions of `--fail_if` that a run is held to: read before it begins, judged when it
ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qs.base.errors import Fault, Faults
from qs.config.workload import Workload
from qs.gates.bounds import judged
from qs.gates.grammar import FLAG, Bound, parse
from qs.result.beside import log_of
from qs.result.gate import GateEntry
from qs.result.result import Result
from qs.settings.request import Request


def bounds_of(request: Request, workload: Workload | None) -> tuple[Bound, ...]:
    """The conditions of a request. Raises Faults with everything that is wrong with them.

    workload   None: it is not known, or an artifact stands in its place
    """
    if request.compile_only and request.fail_if:
        text = ", ".join(request.fail_if)
        raise Faults([Fault(FLAG, "", text, "a run that measures: no --compile_only")])
    scored = bool(request.task) and (
        workload is None or workload.test_accuracy or workload.test_numeric
    )
    found = parse(request.fail_if, metrics=None if scored else ())
    return tuple(each for each in found if isinstance(each, Bound))


def judge_of(
    request: Request, workload: Workload
) -> Callable[[Result, Path], list[GateEntry]] | None:
    """What holds a result to the conditions of its run; None without conditions."""
    bounds = bounds_of(request, workload)

    def judge(result: Result, folder: Path) -> list[GateEntry]:
        return judged(bounds, result, partial(log_of, folder))

    return judge if bounds else None
