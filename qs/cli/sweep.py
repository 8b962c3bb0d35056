"""`qs sweep`: many settings in turn, and the highest rate within bounds. It reads the options;
qs.sweep.running does the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from qs.base import bounds
from qs.base.errors import Fault, Faults
from qs.base.scenarios import CONCURRENCY, RATE
from qs.cli import nodes as of_nodes
from qs.cli import options as given
from qs.cli.basic_types import OneOf, Whole
from qs.cli.grouping import AXES as AXIS
from qs.cli.grouping import OUTPUT, STOP, TARGET
from qs.cli.naming import file_or_task, settled
from qs.cli.retyped import Retyped, path_word, retyped
from qs.cli.server_types import Artifact
from qs.cli.types import BatchSizes, Seconds, WholeNumbers, Words

_axis = given.under(AXIS)
# What a recommended command states anew, or leaves to its own: a tag names one run.
TIMES = ("repeats", "duration", "budget", "slo", "slo_budget", "over", "no_search", "resume")
# What an artifact is fed.
FED = ("shape", "batch_axis", "types", "ranges", "data", "state", "no_state", "fill")
OWN = ("repeats", "duration", "budget", "slo_budget", "over", "resume")
# Of a language model behind an API, whose requests take seconds and whose axis are the users: what
# is swept where nobody says otherwise.
ENDPOINT = "OPENAI"
OF_ENDPOINTS = {"repeats": 1, "duration": 10.0, "slo_budget": 600.0}
USERS = (1, 2, 4, 8, 16)
AXES = ("clients", "instances", "intra_op_threads", "pool")
ANEW = (*AXES, "batch_sizes", "tags", "slo")


@click.command(
    "sweep",
    cls=Retyped,
    short_help="Measure many settings in turn, and find the most load within bounds.",
)
@file_or_task
@given.task
@given.option(
    TARGET,
    "--artifact",
    type=Artifact(),
    help="In place of --task: a model file, compile result or address, as for qs load.",
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
@given.searched
@given.option(
    STOP,
    "--over",
    type=OneOf([RATE, CONCURRENCY]),
    default=RATE,
    show_default=True,
    help="What the search for the most load goes over: the rate of Poisson arrivals, or the users "
    "of a closed loop.",
)
@given.option(
    STOP,
    "--no_search",
    is_flag=True,
    help="With --slo: only choose among the settings, as measured in closed loop.",
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
@given.workers
@given.measuring
@given.feeding
@given.url
@given.server
@given.llm
@given.answers
@given.timeouts
@given.nodes
@given.process
@given.offline
@given.watching
@given.history
@given.output
def command(as_json: bool, quiet: bool, **options) -> int:
    """Measure every combination of the axes in closed loop, interleaved and repeated; recommend
    settings; find the highest rate, or the most users, within bounds.

    \b
    Examples:
      qs sweep model.onnx -b 1,8 -c 1,2 --slo p99=50ms
      qs sweep --task digits-cnn-onnx-fp32 --hardware_type CPU --batch_sizes 1,8 --clients 1,2
      qs sweep --task digits-cnn-onnx-fp32 --hardware_type CPU --pool thread,process --budget 20s
      qs sweep --task digits-cnn-onnx-fp32 --hardware_type CPU --batch_sizes 1 --slo p99=5ms
      qs sweep openai+http://127.0.0.1:8080/v1 --slo ttft_p95=1s,tpot_p95=50ms
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
    from qs.history.trend import drawn_trend
    from qs.result.result import Kind
    from qs.sweep.grid import Axes
    from qs.sweep.plan import SweepPlan
    from qs.sweep.running import work_of
    from qs.watch.terminal import open_view

    asked = settled(options)
    own = {name: asked.pop(name) for name in OWN}
    no_search = asked.pop("no_search")
    axes = {name: asked.pop(name) or () for name in AXES}
    endpoint = asked["hardware_type"] == ENDPOINT
    if endpoint:
        own |= {name: value for name, value in OF_ENDPOINTS.items() if _is_default(name)}
        nodes = asked["nodes"] if isinstance(asked["nodes"], int) else 1
        axes["clients"] = axes["clients"] or tuple(users * nodes for users in USERS)
    _check_together(asked, bool(asked["slo"]), no_search)
    of_nodes.check_axes(asked["nodes"], axes)
    asked |= {"engine": DRIVE, "duration": own["duration"]}
    request = request_of(asked, kind=Kind.SWEEP)
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
        goals=request.goals,
        budget_s=own["budget"],
        limit_s=own["slo_budget"],
        over=own["over"],
        endpoint=endpoint,
        search=not no_search,
        resume=own["resume"],
        command=_command(request),
        sweep_command=_sweep_command(request),
    )
    view = open_view(quiet)
    with scratch("qs-sweep-") as folder:
        prepared = (
            prepare(request)
            if request.artifact is None
            else describe_artifact(request, folder, view=view)
        )
        ended = run(prepared, view, work_of(plan), going_on=plan.resume, trend=drawn_trend)
        return conclude(ended, view, as_json, quiet)


def _is_default(name: str) -> bool:
    """Whether neither the command line nor a variable or file says it."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.DEFAULT


def _check_together(asked: Mapping[str, Any], bounded: bool, no_search: bool) -> None:
    """Raises Faults for options that mean nothing here, which nobody would notice."""
    ctx, faults = click.get_current_context(), []
    if no_search and not bounded:
        faults.append(Fault("--no_search", "", "given", "given only with --slo"))
    faults += [
        Fault(
            "--per_node",
            "",
            f"{name}={value:g}",
            f"left out in a sweep: --{name} is an axis of it, in totals",
        )
        for group in asked["per_node"]
        for name, value in group
        if name in AXES
    ]
    if asked["task"]:
        for option in ctx.command.params:
            typed = ctx.get_parameter_source(option.name or "")
            if option.name in FED and typed is click.core.ParameterSource.COMMANDLINE:
                flag = max(option.opts, key=len)
                allowed = "given only with --artifact: a task says what its model is fed"
                faults.append(Fault(flag, "", "given", allowed))
    if faults:
        raise Faults(faults)


def _command(request: Any) -> tuple[str, ...]:
    """What measures the same without a setting: all that was typed but the axes, which a setting
    states.
    """
    from qs.cli import load, run

    if request.artifact is None:
        return ("qs", "run", *_named(request, run.command, ANEW))
    return ("qs", "load", path_word(request.artifact), *_named(request, load.command, ANEW))


def _sweep_command(request: Any) -> tuple[str, ...]:
    """This sweep without what another one of the same settings states anew."""
    command = click.get_current_context().command
    file = () if request.artifact is None else ("--artifact", str(request.artifact))
    return ("qs", "sweep", *file, *_named(request, command, (*ANEW, *TIMES, "artifact")))


def _named(request: Any, target: click.Command, without: Sequence[str]) -> tuple[str, ...]:
    """What was typed, with the task and the backend, which may have been left to be found."""
    ctx = click.get_current_context()
    words = retyped(ctx, target, without=(*without, "task", "hardware_type"))
    task = ("--task", request.task) if request.artifact is None else ()
    return (*task, "--hardware_type", request.hardware_type, *words)
