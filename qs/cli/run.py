"""`qs run`: the whole evaluation of one task on one backend. It reads the options; qs.pipeline does the work."""

from __future__ import annotations

from pathlib import Path

import click

from qs.cli.types import Seconds, WarmUp, WholeNumbers


@click.command("run", short_help="Compile, check and measure one task on one backend.")
@click.option("--task", required=True, help="Name of a file in workloads/, without .json.")
@click.option("--hardware_type", required=True, help="Name of a folder in backends/, for example CPU.")
@click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    help="Folder to search first for tasks, backends, models and data sets.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Folder for reports.",
)
@click.option("--clients", type=click.IntRange(min=1), help="Clients that submit at the same time.")
@click.option("--iterations", type=click.IntRange(min=1), help="Queries each client submits, per batch size.")
@click.option(
    "--duration",
    type=Seconds(),
    help="Measure each batch size for this long, in place of a number of iterations.",
)
@click.option("--batch_sizes", type=WholeNumbers(), help="Batch sizes to measure, for example 1,4,8.")
@click.option(
    "--pool",
    type=click.Choice(["thread", "inline", "process", "async"]),
    help="What the clients run in; async is for backends whose predict is a coroutine function.",
)
@click.option("--instances", type=click.IntRange(min=1), help="Loaded copies of the model.")
@click.option("--warmup", type=WarmUp(), help="Before measuring: iterations per client (3) or a time (2s).")
@click.option(
    "--time_limit",
    type=Seconds(),
    help="Measure each batch size for at most this long; the row says how far it came.",
)
@click.option(
    "--numeric_items", type=click.IntRange(min=1), help="Items compared with the reference.  [default: 16]"
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Seed of generated weights and inputs.  [default: 0]"
)
@click.option(
    "--answers", type=click.Path(path_type=Path), help="JSON file with answers to the backend's questions."
)
@click.option(
    "--no_input", is_flag=True, help="Never ask: answers come from --answers and the profile's defaults."
)
@click.option("--compile_only", is_flag=True, help="Stop after compiling; leave the compile result.")
@click.option(
    "--compiled",
    type=click.Path(path_type=Path),
    help="Compile nothing: take the compile result that an earlier run left in this folder (--compile_only --out).",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Which backends our engine drives: those that support QS mode (auto); every one, with its own numbers "
    "beside ours (always, an audit); none, each times itself (never).",
)
@click.option("--compile_timeout", type=Seconds(), help="Longest time to compile.  [default: 1h]")
@click.option("--load_timeout", type=Seconds(), help="Longest time to load one copy.  [default: 20m]")
@click.option("--predict_timeout", type=Seconds(), help="Longest time for one predict.  [default: 2m]")
@click.option("--benchmark_timeout", type=Seconds(), help="Longest time for a benchmark.  [default: 1h]")
@click.option(
    "--in_process",
    is_flag=True,
    help="Run the backend in this process, for a debugger. It can then take qs down.",
)
@click.option(
    "--env",
    type=click.Choice(["auto", "current", "new"]),
    default="auto",
    show_default=True,
    help="Python environment of the backend: one of its own (new), the one qs runs in (current), or one of its own "
    "where the current does not satisfy its requirements.txt (auto).",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as JSON on standard output, all else on standard error.",
)
@click.option("--quiet", is_flag=True, help="No progress, no summary; errors only.")
def command(as_json: bool, quiet: bool, **options) -> int:
    """Compile a task's model with a backend, check its answers, measure it, and write the report.

    \b
    Examples:
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU
      qs run --task bert-torch-fp32 --hardware_type CPU --batch_sizes 1,4 --time_limit 20
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU --clients 1 --json > result.json
    """
    from qs.cli.evaluation import run_evaluation
    from qs.plan import Request

    return run_evaluation(Request(**options), as_json=as_json, quiet=quiet)
