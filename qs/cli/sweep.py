"""`qs sweep`: many settings in turn, and the highest rate within bounds. It reads the options;
qs.sweep.running does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from qs.base import bounds
from qs.base.errors import Fault, Faults
from qs.cli import options as given
from qs.cli.basic_types import FilePath, Whole
from qs.cli.naming import settled, task_word
from qs.cli.options.grouping import AXES as AXIS
from qs.cli.options.grouping import OUTPUT, STOP, TARGET
from qs.cli.retyped import Retyped, path_word, retyped
from qs.cli.types import BatchSizes, Seconds, WholeNumbers, Words

_axis = given.under(AXIS)
AXES = ("clients", "instances", "intra_op_threads", "pool")


@click.command(
    "sweep",
    cls=Retyped,
    short_help="Measure many settings in turn, and find the highest rate within bounds.",
)
@task_word
@given.task
@given.option(
    TARGET,
    "--artifact",
    type=FilePath(),
    help="In place of --task: a model file or compile result, as for qs load.",
)
@given.hardware
@given.places
@_axis(
    "-b",
    "--batch_sizes",
    aliases=["--batch_size"],
    type=BatchSizes(),
    help="Batch sizes.  [default: best, the backend's own analysis, else the task's]",
)
@_axis(
    "-c",
    "--clients",
    aliases=["--concurrency"],
    type=WholeNumbers(),
    help="Clients that submit at the same time, for example 1,2,4.",
)
@_axis(
    "--instances",
    type=WholeNumbers(),
    help="Instances (loaded copies of the model), in threads.",
)
@_axis("--intra_op_threads", type=WholeNumbers(), help="Threads that one inference may use.")
@_axis(
    "--pool",
    type=Words(given.POOLS),
    help="What the clients run in, for example thread,process.",
)
@given.option(
    STOP,
    "--repeats",
    type=Whole(1, bounds.CASES),
    default=3,
    show_default=True,
    help="How often each setting is measured, in rounds.",
)
@given.option(
    STOP,
    "-d",
    "--duration",
    type=Seconds(),
    default="3s",
    show_default=True,
    help="How long each time.",
)
@given.option(
    STOP,
    "--budget",
    type=Seconds(),
    help="All of it in so much time: promising settings get more of it (successive halving).",
)
@given.option(
    STOP,
    "--slo",
    multiple=True,
    metavar="BOUND",
    help="Find the highest Poisson rate within p99=50ms (p99.9, mean, errors=0.1%). Repeatable.",
)
@given.option(
    STOP,
    "--slo_budget",
    type=Seconds(),
    default="2m",
    show_default=True,
    help="Time for that search; with --budget half of the budget.",
)
@given.option(
    OUTPUT,
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

    asked = settled(options, quiet)
    goals = parse_goals(asked.pop("slo"))
    own = {
        name: asked.pop(name) for name in ("repeats", "duration", "budget", "slo_budget", "resume")
    }
    axes = {name: asked.pop(name) or () for name in AXES}
    if asked["task"] and asked["artifact"]:
        raise Faults([Fault("--task", "", asked["task"], "either --task or --artifact")])
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
            prepare(request)
            if request.artifact is None
            else describe_artifact(request, folder, view=view)
        )
        ended = run(prepared, view, plan.work, going_on=plan.resume)
        return conclude(ended, view, as_json, quiet)


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
