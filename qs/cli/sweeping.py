"""Runs a sweep for the command line: from its options to a plan, and the plan to qs.cli.evaluation."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.errors import MISSING, Fault, Faults
from qs.base.files import SWEEP
from qs.cli import options as given
from qs.cli.evaluation import measure, prepared_artifact
from qs.evaluate.prepare import prepare
from qs.evaluate.testbed import DRIVE
from qs.limit import parse_goals
from qs.sweep.grid import Axes
from qs.sweep.sweeping import Sweeping, SweepPlan
from qs.watch.terminal import open_view

AXES = ("clients", "instances", "intra_op_threads", "pool")


def run_sweep(options: Mapping[str, Any], as_json: bool, quiet: bool) -> int:
    """Sweep, print what was asked for, return the exit status."""
    asked = dict(options)
    goals = parse_goals(asked.pop("slo"))
    own = {
        name: asked.pop(name) for name in ("repeats", "duration", "budget", "slo_budget", "resume")
    }
    axes = {name: asked.pop(name) or () for name in AXES}
    if bool(asked["task"]) == bool(asked["artifact"]):
        raise Faults([Fault("--task", "", asked["task"] or MISSING, "either --task or --artifact")])
    request = given.request_of({**asked, "engine": DRIVE}, kind=SWEEP)
    plan = SweepPlan(
        axes=Axes(
            request.batch_sizes or (),
            axes["clients"],
            axes["instances"],
            axes["intra_op_threads"],
            axes["pool"],
        ),
        repeats=own["repeats"],
        duration_s=own["duration"],
        goals=goals,
        budget_s=own["budget"],
        limit_s=own["slo_budget"],
        resume=own["resume"],
        command=_command(request),
    )
    work = Sweeping(plan).work
    view = open_view(quiet)
    if request.artifact is None:
        return measure(prepare(request), view, as_json, quiet, work)
    with tempfile.TemporaryDirectory(prefix="qs-sweep-") as folder:
        return measure(prepared_artifact(request, Path(folder)), view, as_json, quiet, work)


def _command(request: Any) -> tuple[str, ...]:
    """What measures the same without a setting."""
    what = (
        ("run", "--task", request.task)
        if request.artifact is None
        else ("load", str(request.artifact))
    )
    where = () if request.workspace is None else ("--workspace", str(request.workspace))
    return ("qs", *what, "--hardware_type", request.hardware_type, *where)
