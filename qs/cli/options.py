"""Options that several commands take, written once: where things are, how much load, how it
arrives, how long a backend may take. What was typed becomes a Request in qs.cli.requests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from qs.base import bounds
from qs.cli.types import (
    BatchAxis,
    CpuSets,
    Finite,
    Named,
    Rates,
    Scenario,
    Seconds,
    SharePercent,
    Tag,
    WarmUp,
    WholeNumbers,
    interval,
    whole_shape,
)

Decorator = Callable[[Any], Any]
PERCENT = Finite(100, max_open=True)
POOLS = ("thread", "inline", "process", "async")


def _together(*options: Decorator) -> Decorator:
    """The options in the order in which they are written here: --help shows them so."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


places = _together(
    click.option(
        "--workspace",
        type=click.Path(path_type=Path),
        help="Folder to search first for tasks, backends, models and data sets.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        default=Path("reports"),
        show_default=True,
        help="Folder for reports.",
    ),
)


def known(kind: str) -> Callable[..., list[str]]:
    """Completes with the names of tasks, backends, models or data sets in the workspaces."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from qs.cli.listing import names

        return [
            name for name in names(kind, ctx.params.get("workspace")) if name.startswith(incomplete)
        ]

    return complete


hardware = click.option(
    "--hardware_type",
    required=True,
    help="Name of a folder in backends/, for example CPU.",
    shell_complete=known("backends"),
)

amount = _together(
    click.option(
        "--clients",
        type=click.IntRange(1, bounds.CLIENTS),
        help="Clients that submit at the same time; in open loop, workers that serve.",
    ),
    click.option(
        "--iterations",
        type=click.IntRange(1, bounds.COUNT),
        help="Queries each client submits, per batch size; in open loop, queries in all.",
    ),
    click.option(
        "--duration",
        type=Seconds(),
        help="Measure each batch size for this long instead of a number of iterations.",
    ),
    click.option(
        "--batch_sizes",
        "--batch_size",
        type=WholeNumbers(),
        help="Batch sizes to measure, for example 1,4,8.",
    ),
)

pools = _together(
    click.option(
        "--pool",
        type=click.Choice(POOLS),
        help="What clients run in; async is for backends whose predict is a coroutine function.",
    ),
    click.option(
        "--instances",
        type=click.IntRange(1, bounds.COPIES),
        help="Instances: loaded copies of the model.",
    ),
    click.option(
        "--intra_op_threads",
        type=click.IntRange(1, bounds.COPIES),
        help="Threads that one inference may use.",
    ),
    click.option("--affinity", type=CpuSets(), help="CPUs of each instance, for example 0-3/4-7."),
)

measuring = _together(
    click.option(
        "--warmup",
        type=WarmUp(),
        help="Before measuring: iterations per client (3) or a time (2s).",
    ),
    click.option(
        "--time_limit",
        type=Seconds(),
        help="Measure each batch size for at most this long; the row says how far it came.",
    ),
    click.option(
        "--verify",
        type=click.Choice(["sample", "all"]),
        help="Check that outputs under load match outputs when idle: for a random sample of "
        "requests, or for all.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, bounds.SEED),
        help="Seed of generated weights, inputs and arrivals.  [default: 0]",
    ),
)

traffic = _together(
    click.option(
        "--scenario",
        type=Scenario(),
        help="How load arrives: closed_loop (each client sends when its last answer has come), "
        "poisson, constant_rate, stages, replay, or MLPerf's single_stream, multi_stream, server, "
        "offline with their rules.",
    ),
    click.option(
        "--rate",
        "rate_per_s",
        type=Finite(bounds.PER_S),
        help="Queries/s that arrive (poisson, constant_rate, server).",
    ),
    click.option(
        "--arrivals",
        type=click.Choice(["poisson", "even"]),
        help="At random (poisson) or evenly spaced (even).  [default: poisson]",
    ),
    click.option(
        "--stages",
        type=Rates(),
        help="Rates in turn: 10s:100,20s:~500,1m:500 (~ ramps in a straight line).",
    ),
    click.option(
        "--replay",
        type=click.Path(path_type=Path),
        help="File with recorded due times in seconds: text, CSV or Parquet.",
    ),
    click.option("--replay_column", help="Column of the --replay file, if it has several."),
    click.option(
        "--replay_speed",
        type=Finite(bounds.PER_S),
        help="Replay this many times as fast.",
    ),
    click.option(
        "--latency_slo",
        "bound_s",
        type=Seconds(),
        help="server: bound on the response time's percentile, for example 50ms.",
    ),
    click.option("--percentile", type=PERCENT, help="Percentile that a scenario is judged by."),
    click.option(
        "--samples_per_query",
        type=click.IntRange(1, bounds.BATCH),
        help="multi_stream, offline: samples per query.",
    ),
    click.option(
        "--think_time",
        "think_time_s",
        type=Seconds(),
        help="closed_loop: pause of a client before each query.",
    ),
    click.option(
        "--max_batch_size",
        type=click.IntRange(1, bounds.BATCH),
        help="Open loop: let up to this many queries share a call of predict.",
    ),
    click.option(
        "--max_delay",
        type=Seconds(),
        help="How long a query may wait for others to share its call, for example 2ms.",
    ),
    click.option(
        "--max_backlog",
        type=click.IntRange(0, bounds.WAITING),
        help="Open loop: drop (and count) a query when more than this many are queued behind it.",
    ),
    click.option(
        "--spin",
        type=click.Choice(["never", "auto", "always"]),
        help="Open loop: spin the last microseconds before a due time.",
    ),
)

stopping = _together(
    click.option(
        "--until_stable",
        type=SharePercent(),
        help="Go on until throughput and p99 are known to within this share, for example 1%.",
    ),
    click.option(
        "--stable_percentile",
        type=PERCENT,
        help="The percentile that --until_stable looks at.  [default: 99]",
    ),
    click.option(
        "--min_duration", "min_duration_s", type=Seconds(), help="Go on for at least this long."
    ),
    click.option(
        "--min_queries",
        type=click.IntRange(1, bounds.COUNT),
        help="Go on for at least this many queries.",
    ),
    click.option(
        "--max_errors",
        type=click.IntRange(0, bounds.COUNT),
        help="End when more queries than this have failed; fewer leave the run valid.",
    ),
    click.option(
        "--max_error_rate", type=SharePercent(), help="The same as a share, for example 0.1%."
    ),
    click.option(
        "--drain",
        "drain_s",
        type=Seconds(),
        help="How long queries in flight may take after the end.  [default: --predict_timeout]",
    ),
)

timeouts = _together(
    click.option(
        "--compile_timeout", type=Seconds(), help="Longest time to compile.  [default: 1h]"
    ),
    click.option(
        "--load_timeout", type=Seconds(), help="Longest time to load one instance.  [default: 20m]"
    ),
    click.option(
        "--predict_timeout",
        type=Seconds(),
        help="Longest time for one predict.  [default: 2m, or three times what earlier cases "
        "suggest if that is longer]",
    ),
)

answers = _together(
    click.option(
        "--answers",
        type=click.Path(path_type=Path),
        help="JSON file with answers to the backend's questions.",
    ),
    click.option(
        "--no_input",
        is_flag=True,
        help="Never ask: answers come from --answers and the profile's defaults.",
    ),
)

process = _together(
    click.option(
        "--in_process",
        is_flag=True,
        help="Run the backend in this process, for a debugger. It can then take qs down.",
    ),
    click.option(
        "--env",
        type=click.Choice(["auto", "current", "new"]),
        default="auto",
        show_default=True,
        help="Python environment of the backend: one of its own (new), the one qs runs in "
        "(current), or one of its own if the current one does not satisfy its requirements.txt "
        "(auto).",
    ),
)

offline = click.option(
    "--offline",
    is_flag=True,
    help="Download nothing: models and data come from your files and the cache; missing files are "
    "listed, with where to put each one.",
)

feeding = _together(
    click.option(
        "--shape",
        type=Named(whole_shape, "shape", "images=1,3,224,224", last=True),
        multiple=True,
        help="Shape of an input in one call: name=1,3,224,224, or name=scalar. A batch of 1 in it "
        "is multiplied by --batch_sizes, a larger one is the batch size of the run. Repeat it for "
        "each input that needs one.",
    ),
    click.option(
        "--batch_axis",
        type=BatchAxis(),
        multiple=True,
        help="The dimension that the batch size multiplies: its name (N), image=0, 0 (of each "
        "input), image=none or none.  [default: the open dimension called batch or N, else an open "
        "first one]",
    ),
    click.option(
        "--type",
        "types",
        type=Named(str.upper, "type", "ids=INT64", last=True),
        multiple=True,
        help="Type of an input, for artifacts that cannot be read: name=INT64.",
    ),
    click.option(
        "--range",
        "ranges",
        type=Named(interval, "range", "ids=0,30522", last=True),
        multiple=True,
        help="Range of an input's generated values, the second excluded: name=0,30522; name=1,1 is "
        "that one value.",
    ),
    click.option(
        "--data",
        type=Named(Path, "data", "images=folder/"),
        multiple=True,
        help="Your own items for an input: name=file or folder with .npy, .npz, .raw, .json, "
        ".pb, .txt, .png or .jpg.",
    ),
    click.option(
        "--state",
        type=Named(str, "state", "h=hn"),
        multiple=True,
        help="An input that is fed an output of the previous call: input=output.  "
        "[default: where their names say so]",
    ),
    click.option("--no_state", is_flag=True, help="Feed no output back, whatever the names say."),
    click.option(
        "--fill",
        type=click.Choice(["random", "zeros"]),
        default="random",
        show_default=True,
        help="What inputs without data are filled with.",
    ),
    click.option(
        "--samples",
        "sample_count",
        type=click.IntRange(1, bounds.SAMPLES),
        help="Distinct batches to cycle through.  [default: up to 64]",
    ),
)

watching = _together(
    click.option(
        "--metrics",
        metavar="WHERE",
        help="Metrics for Prometheus while it runs: :9464 (this machine only), host:port, or "
        "file:run.prom.",
    ),
    click.option("--trace", is_flag=True, help="Write trace.json beside the report, for Perfetto."),
)

history = _together(
    click.option(
        "--tag",
        "tags",
        type=Tag(),
        multiple=True,
        help="Name this run in the history, to compare with it later: qs compare @TAG. Repeatable.",
    ),
    click.option("--no_history", is_flag=True, help="Leave no entry in the history of runs."),
)

output = _together(
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the result as JSON on standard output, everything else on standard error.",
    ),
    click.option("--quiet", is_flag=True, help="No progress, no summary; errors only."),
)
