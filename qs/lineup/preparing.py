"""Every backend's run, found and checked, before any of them is started: all faults of all of them
in one message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from qs.base.errors import Fault, Faults, UserError, together
from qs.evaluate.prepare import Prepared
from qs.evaluate.testbed import DRIVE
from qs.lineup.named import answers_of, names_in, unsupported
from qs.settings.request import Request

Prepare = Callable[[Request], Prepared]


@dataclass(frozen=True)
class LineupPlan:
    """What is asked for: the backends in the order in which they were named."""

    backends: tuple[Prepared, ...]
    rounds: int
    asked: Request

    @property
    def title(self) -> str:
        return self.backends[0].title


def prepare_all(request: Request, rounds: int, prepare: Prepare) -> LineupPlan:
    """Check a request whose `hardware_type` names several backends. `prepare` makes the run of one.
    Raises UserError with everything that is wrong.
    """
    names = names_in(request.hardware_type)
    errors: list[UserError] = []
    if faults := list(unsupported(request)):
        errors.append(Faults(faults))
    files = {}
    try:
        files = answers_of(request.answers, names)
    except UserError as error:
        errors.append(error)
    # Our engine times all of them, so that the numbers are of one clock.
    alike = replace(
        request,
        engine=DRIVE if request.engine == "auto" else request.engine,
        compiled=None,
        compile_only=False,
        in_process=False,
        raw=None,
        web=None,
        metrics=None,
    )
    found = []
    for name in names:
        try:
            found.append(prepare(replace(alike, hardware_type=name, answers=files.get(name))))
        except UserError as error:
            errors.append(error)
    if not errors:
        if any(each.compile_only for each in found):
            fault = Fault("TASK", "", request.task, "a task that is measured, not only compiled")
            raise Faults([fault])
        return LineupPlan(tuple(found), rounds, request)
    raise _each_once(errors)


def _each_once(errors: list[UserError]) -> UserError:
    """What is wrong with all of them alike is said once."""
    faults: dict[str, Fault] = {}
    others: dict[str, UserError] = {}
    for error in errors:
        if isinstance(error, Faults):
            faults |= {str(fault): fault for fault in error.faults}
        else:
            others.setdefault(str(error), error)
    return together([*([Faults(faults.values())] if faults else []), *others.values()])
