"""`qs run`: the whole evaluation of one task on one backend, or on several in turn. It reads the
options; qs.evaluate.evaluation and qs.lineup do the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from qs.cli import gating
from qs.cli import options as given
from qs.cli.basic_types import FilePath, OneOf
from qs.cli.grouping import CHECKS, STOP, TARGET
from qs.cli.helping import Command
from qs.cli.naming import task_word
from qs.cli.types import Seconds


@click.command("run", cls=Command, short_help="Compile, check and measure one task on one backend.")
@task_word
@given.task
@given.backends
@given.rounds
@given.places
@given.amount
@given.traffic
@given.stopping
@given.pools
@given.measuring
@given.numeric_items
@given.no_picture
@given.dry_run
@given.samples
@given.option(
    CHECKS,
    "--engine",
    type=OneOf(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Which backends our engine drives: those that support QS mode (auto); every one, with "
    "its own numbers beside ours (always, an audit); none, so that each times itself (never).",
    rare=True,
)
@given.option(
    TARGET,
    "--compile_only",
    is_flag=True,
    help="Stop after compiling; leave the compile result.",
    rare=True,
)
@given.option(
    TARGET,
    "--compiled",
    type=FilePath("FOLDER"),
    help="Compile nothing: take the compile result that an earlier run left in this folder "
    "(--compile_only --out).",
    rare=True,
)
@given.url
@given.server
@given.llm
@given.answers
@given.timeouts
@given.option(
    STOP,
    "--benchmark_timeout",
    type=Seconds(),
    help="Longest time for a benchmark.  [default: 1h]",
    rare=True,
)
@given.nodes
@given.process
@given.offline
@given.watching
@given.goals
@gating.options
@given.raw
@given.history
@given.output
def command(dry_run: bool, as_json: bool, quiet: bool, **options) -> int:
    """Compile a task's model with a backend, check its answers, measure it, and write the report.

    \b
    Examples:
      qs run digits
      qs run digits -H CPU -b 1,8 -c 2 -d 5s
      qs run --task bert-torch-fp32 --hardware_type CPU --batch_sizes 1,4 --time_limit 20
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU --clients 1 --json > result.json
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU --rate 500 --duration 2s
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU,OPENVINO,TORCH
      qs run --task digits-cnn-onnx-fp32 --hardware_type CPU --dry_run
    """
    from qs.cli.lineup import outline_several, run_several, several
    from qs.cli.measuring import run_task
    from qs.watch.terminal import open_view

    if several(options):
        if dry_run:
            return outline_several("run", options, as_json, quiet)
        return run_several(options, as_json, quiet)
    options.pop("rounds")
    if dry_run:
        return _outlined(options, as_json)
    view = open_view(quiet)
    ended = run_task(options, view)

    from qs.cli.concluding import conclude

    return conclude(ended, view, as_json, quiet)


def _outlined(options: Mapping[str, Any], as_json: bool) -> int:
    from qs.cli.concluding import show_plan
    from qs.cli.naming import settled
    from qs.cli.requests import request_of
    from qs.evaluate.prepare import prepare

    return show_plan(prepare(request_of(settled(options))), as_json)
