"""`qs run` and `qs load` of several backends: qs.lineup measures them in turn, and here is what is
printed, and the exit status.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.base.errors import Fault, Faults
from qs.cli.commands import INVALID, USER_ERROR, VALID
from qs.cli.naming import is_address

if TYPE_CHECKING:
    from qs.base.interrupt import Interrupt
    from qs.evaluate.prepare import Prepared
    from qs.lineup.preparing import LineupPlan
    from qs.lineup.reporting import Reported
    from qs.lineup.running import LineupEnded
    from qs.settings.request import Request
    from qs.watch.view import View


def several(options: Mapping[str, Any]) -> bool:
    """Whether a list of backends is named, for anything but an address. Raises Faults for rounds of
    a single one.
    """
    named = str(options.get("hardware_type") or "")
    if not is_address(options.get("word")) and "," in named:
        if options.get("nodes") is not None:
            raise Faults([Fault("--nodes", "", options["nodes"], f"one backend, not {named}")])
        return True
    if options.get("rounds") is not None:
        named = options.get("hardware_type") or "one backend"
        allowed = f"given with several backends, not with {named}"
        raise Faults([Fault("--rounds", "", options["rounds"], allowed)])
    return False


def run_several(options: Mapping[str, Any], as_json: bool, quiet: bool) -> int:
    """`qs run` of a list of backends; the exit status."""
    from qs.watch.terminal import open_view

    view = open_view(quiet)
    ended, reported = measure_several("run", options, view)
    return conclude_several(ended, reported, view, as_json, quiet)


def load_several(options: Mapping[str, Any], as_json: bool, quiet: bool) -> int:
    """`qs load` of a list of backends; the exit status."""
    from qs.watch.terminal import open_view

    view = open_view(quiet)
    ended, reported = measure_several("load", options, view)
    return conclude_several(ended, reported, view, as_json, quiet)


def outline_several(command: str, options: Mapping[str, Any], as_json: bool, quiet: bool) -> int:
    """What --dry_run prints."""
    from qs.base.console import print_json
    from qs.base.scratch import scratch
    from qs.evaluate.outline import outline
    from qs.watch.terminal import open_view

    with scratch("qs-lineup-") as folder:
        plan = _plan(command, options, folder, open_view(quiet), None, probe=False)
        found = {each.hardware: outline(each) for each in plan.backends}
    if as_json:
        backends = {name: each.to_dict() for name, each in found.items()}
        print_json({"rounds": plan.rounds, "backends": backends})
        return VALID
    print(f"{', '.join(found)}: measured in turn, each case in up to {plan.rounds} rounds")
    for each in found.values():
        print("\n".join(["", *each.lines()]))
    return VALID


def measure_several(
    command: str, options: Mapping[str, Any], view: View, interrupt: Interrupt | None = None
) -> tuple[LineupEnded, Reported]:
    """Measure, compare and remember. Raises UserError."""
    from qs.base.scratch import scratch
    from qs.cli.concluding import remember
    from qs.lineup.reporting import report
    from qs.lineup.running import run_lineup

    with scratch("qs-lineup-") as folder:
        plan = _plan(command, options, folder, view, interrupt)
        ended = run_lineup(plan, view, interrupt)
    for each in ended.runs:
        remember(each, view)
    return ended, report(ended, view)


def _plan(
    command: str,
    options: Mapping[str, Any],
    folder: Path,
    view: View,
    interrupt: Interrupt | None,
    probe: bool = True,
) -> LineupPlan:
    from qs.cli.measuring import load_request, prepared_load
    from qs.cli.naming import settled
    from qs.cli.requests import request_of
    from qs.evaluate.prepare import prepare
    from qs.lineup.named import ROUNDS
    from qs.lineup.preparing import prepare_all

    given = dict(options)
    rounds = given.pop("rounds", None) or ROUNDS
    if command == "run":
        return prepare_all(request_of(settled(given)), rounds, prepare)

    numbers = count()

    def prepared(request: Request) -> Prepared:
        own = folder / str(next(numbers))
        own.mkdir()
        return prepared_load(request, own, view, interrupt, probe)

    return prepare_all(load_request(given), rounds, prepared)


def conclude_several(
    ended: LineupEnded, reported: Reported, view: View, as_json: bool, quiet: bool
) -> int:
    """Print what came out; the exit status: the worst of the backends'."""
    from qs.base.console import print_json
    from qs.base.interrupt import EXIT_STATUS
    from qs.base.visible import visible
    from qs.cli.concluding import status_of, wrong_in
    from qs.lineup.writing import print_lineup, to_dict
    from qs.result.gate import GateOutcome

    if as_json:
        results = {each.record.hardware: each.result.to_dict() for each in ended.runs}
        print_json(to_dict(reported.lineup) | {"results": results})
    stream = sys.stderr if as_json else sys.stdout
    if not quiet:
        print_lineup(reported.lineup, stream)
    for each in ended.runs:
        for gate in each.record.gates:
            if gate.outcome is not GateOutcome.NOT or not quiet:
                said = f"{each.record.hardware}: --fail_if {visible(gate.sentence)}"
                print(said, file=sys.stderr if quiet else stream)
    if not quiet:
        for each in ended.runs:
            if each.folder is not None and each.folder.page.is_file():
                print(f"{each.record.hardware}: {each.folder.page}", file=stream)
        if reported.page is not None:
            print(f"comparison: {reported.page}", file=stream)
    statuses = [status_of(each) for each in ended.runs]
    for each in ended.runs:
        if said := wrong_in(each):
            print(f"error: {each.record.hardware}: {visible(said)}", file=sys.stderr)
    unwritten = list(reported.unwritten.values())
    for said in unwritten:
        print(f"error: the comparison is not complete: {visible(said)}", file=sys.stderr)
    if ended.interrupted:
        print("interrupted; the reports hold what was measured", file=sys.stderr)
        return EXIT_STATUS
    order = (VALID, *sorted({*statuses} - {VALID, INVALID, USER_ERROR}), INVALID, USER_ERROR)
    return USER_ERROR if unwritten else max(statuses, key=order.index)
