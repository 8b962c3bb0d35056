"""`qs run`: the whole evaluation of one task on one backend. It reads the options;
qs.evaluate.evaluation does the work.
"""

from __future__ import annotations

from pathlib import Path

import click

from qs.base import bounds
from qs.cli import gating
from qs.cli import options as given
from qs.cli.types import Seconds


@click.command("run", short_help="Compile, check and measure one task on one backend.")
@click.option(
    "--task",
    required=True,
    help="Name of a file in workloads/, without .json.",
    shell_complete=given.known("tasks"),
)
@given.hardware
@given.places
@given.amount
@given.pools
@given.measuring
@click.option(
    "--numeric_items",
    type=click.IntRange(1, bounds.SAMPLES),
    help="Items compared with the reference.  [default: 16]",
)
@given.answers
@click.option(
    "--compile_only", is_flag=True, help="Stop after compiling; leave the compile result."
)
@click.option(
    "--compiled",
    type=click.Path(path_type=Path),
    help="Compile nothing: take the compile result that an earlier run left in this folder "
    "(--compile_only --out).",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Which backends our engine drives: those that support QS mode (auto); every one, with "
    "its own numbers beside ours (always, an audit); none, so that each times itself (never).",
)
@given.timeouts
@click.option(
    "--benchmark_timeout", type=Seconds(), help="Longest time for a benchmark.  [default: 1h]"
)
@given.process
@given.traffic
@given.stopping
@given.offline
@given.watching
@gating.options
@given.history
@given.output
def command(as_json: bool, quiet: bool, **options) -> int:
    """Compile a task's model with a backend, check its answers, measure it, and write the report.

    \b
    Examples:
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU
      qs run --task bert-torch-fp32 --hardware_type CPU --batch_sizes 1,4 --time_limit 20
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU --clients 1 --json > result.json
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU --rate 500 --duration 2s
    """
    from qs.cli.requests import request_of
    from qs.evaluate.prepare import prepare
    from qs.watch.terminal import open_view

    request, view = request_of(options), open_view(quiet)
    prepared = prepare(request)

    # After it: what measures takes most of a second to import, and most errors are known by now.
    from qs.cli.concluding import conclude
    from qs.evaluate.running import run

    return conclude(run(prepared, view), view, request, as_json, quiet)
