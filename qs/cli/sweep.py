"""`qs sweep`: many settings in turn, and the highest rate within bounds. It reads the options;
qs.sweep.running does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from qs.base import bounds
from qs.base.errors import MISSING, Fault, Faults
from qs.cli import options as given
from qs.cli.retyped import Retyped, path_word, retyped
from qs.cli.types import Seconds, WholeNumbers, Words

AXES = ("clients", "instances", "intra_op_threads", "pool")


@click.command(
    "sweep",
    cls=Retyped,
    short_help="Measure many settings in turn, and find the highest rate within bounds.",
)
@click.option(
    "--task",
    default="",
    help="Name of a file in workloads/, without .json.",
    shell_complete=given.known("tasks"),
)
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    help="In place of --task: a model file or compile result, as for qs load.",
)
@given.hardware
@given.places
@click.option(
    "--batch_sizes",
    "--batch_size",
    type=WholeNumbers(),
    help="Axis.  [default: the backend's own analysis, else the task's]",
)
@click.option(
    "--clients",
    type=WholeNumbers(),
    help="Axis: clients that submit at the same time, for example 1,2,4.",
)
@click.option(
    "--instances",
    type=WholeNumbers(),
    help="Axis: instances (loaded copies of the model), in threads.",
)
@click.option(
    "--intra_op_threads", type=WholeNumbers(), help="Axis: threads that one inference may use."
)
@click.option(
    "--pool",
    type=Words(given.POOLS),
    help="Axis: what the clients run in, for example thread,process.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, bounds.CASES),
    default=3,
    show_default=True,
    help="How often each setting is measured, in rounds.",
)
@click.option(
    "--duration", type=Seconds(), default="3s", show_default=True, help="How long each time."
)
@click.option(
    "--budget",
    type=Seconds(),
    help="All of it in so much time: promising settings get more of it (successive halving).",
)
@click.option(
    "--slo",
    multiple=True,
    metavar="BOUND",
    help="Find the highest Poisson rate within p99=50ms (p99.9, mean, errors=0.1%). Repeatable.",
)
@click.option(
    "--slo_budget",
    type=Seconds(),
    default="2m",
    show_default=True,
    help="Time for that search; with --budget half of the budget.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the sweep that was interrupted in this --out, or killed.",
)
@given.measuring
@given.feeding
@given.answers
@given.timeouts
@given.process
@given.offline
@given.watching
@given.history
@given.output
def command(as_json: bool, quiet: bool, **options) -> int:
    """Measure every combination of the axes in closed loop, interleaved and repeated; recommend
    settings; find the highest rate within bounds.

    \b
    Examples:
      qs sweep --task digits-cnn-onnx-fp32 --hardware_type CPU --batch_sizes 1,8 --clients 1,2
      qs sweep --task digits-cnn-onnx-fp32 --hardware_type CPU --pool thread,process --budget 20s
      qs sweep --task digits-cnn-onnx-fp32 --hardware_type CPU --batch_sizes 1 --slo p99=5ms
      qs sweep --artifact model.onnx --hardware_type CPU --instances 1,2 --duration 0.5s --resume
    """
    return _sweep(options, as_json, quiet)


def _sweep(options: Mapping[str, Any], as_json: bool, quiet: bool) -> int:
    from qs.base.scratch import scratch
    from qs.cli.concluding import conclude
    from qs.cli.requests import request_of
    from qs.evaluate.prepare import prepare
    from qs.evaluate.running import describe_artifact, run
    from qs.evaluate.testbed import DRIVE
    from qs.limit import parse_goals
    from qs.result.result import Kind
    from qs.sweep.grid import Axes
    from qs.sweep.running import SweepPlan
    from qs.watch.terminal import open_view

    asked = dict(options)
    goals = parse_goals(asked.pop("slo"))
    own = {
        name: asked.pop(name) for name in ("repeats", "duration", "budget", "slo_budget", "resume")
    }
    axes = {name: asked.pop(name) or () for name in AXES}
    if bool(asked["task"]) == bool(asked["artifact"]):
        raise Faults([Fault("--task", "", asked["task"] or MISSING, "either --task or --artifact")])
    request = request_of({**asked, "engine": DRIVE}, kind=Kind.SWEEP)
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
    view = open_view(quiet)
    with scratch("qs-sweep-") as folder:
        prepared = (
            prepare(request) if request.artifact is None else describe_artifact(request, folder)
        )
        ended = run(prepared, view, plan.work)
        return conclude(ended, view, request, as_json, quiet)


def _command(request: Any) -> tuple[str, ...]:
    """What measures the same without a setting: all that was typed but the axes, which a setting
    states.
    """
    from qs.cli import load, run

    ctx = click.get_current_context()
    if request.artifact is None:
        return ("qs", "run", *retyped(ctx, run.command, without=(*AXES, "batch_sizes")))
    words = retyped(ctx, load.command, without=(*AXES, "batch_sizes"))
    return ("qs", "load", path_word(request.artifact), *words)
