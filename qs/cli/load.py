"""`qs load`: a load test of a model file or a compile result. It reads the options; what they ask
for is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from qs.cli import gating
from qs.cli import options as given
from qs.cli.basic_types import FilePath
from qs.cli.commands import VALID
from qs.cli.helping import Command
from qs.cli.options.grouping import OUTPUT


@click.command(
    "load", cls=Command, short_help="Load-test a model file, or a compile result, without a task."
)
@click.argument("artifact", type=FilePath())
@given.hardware
@given.places
@given.amount
@given.traffic
@given.stopping
@given.pools
@given.measuring
@given.feeding
@given.option(
    OUTPUT,
    "--dry_run",
    is_flag=True,
    help="Print the plan, where each value comes from and how long it takes; run nothing.",
)
@given.answers
@given.timeouts
@given.process
@given.offline
@given.watching
@gating.options
@given.raw
@given.history
@given.output
def command(artifact: Path, dry_run: bool, as_json: bool, quiet: bool, **options) -> int:
    """Load-test ARTIFACT: a model file (any .onnx for CPU; whatever the backend accepts), or the
    compile result that `qs run --compile_only` left.

    Inputs are read from the artifact. Dynamic dimensions are guessed, tried with one inference, and
    reported as guesses; --shape states them. Without --iterations or --duration each batch size is
    measured for 10 s.

    \b
    Examples:
      qs load model.onnx --hardware_type CPU --duration 2s
      qs load model.onnx --hardware_type CPU --batch_sizes 1,8 --clients 2 --iterations 100
      qs load model.onnx --hardware_type CPU --scenario server --rate 200 --latency_slo 20ms
      qs load model.onnx --hardware_type CPU --stages 1s:100,1s:~300 --pool process --clients 2
      qs load model.onnx --hardware_type CPU --dry_run
    """
    from qs.cli.measuring import load_artifact
    from qs.watch.terminal import open_view

    asked = {**options, "artifact": artifact}
    if dry_run:
        _show_plan(asked, as_json, quiet)
        return VALID
    view = open_view(quiet)
    ended = load_artifact(asked, view, quiet)

    from qs.cli.concluding import conclude

    return conclude(ended, view, as_json, quiet)


def _show_plan(options: Mapping[str, Any], as_json: bool, quiet: bool) -> None:
    from qs.base.console import print_json
    from qs.base.scratch import scratch
    from qs.cli.measuring import load_request
    from qs.evaluate.outline import outline
    from qs.evaluate.running import describe_artifact

    with scratch("qs-load-") as folder:
        planned = outline(describe_artifact(load_request(options, quiet), folder, probe=False))
    if as_json:
        print_json(planned.to_dict())
    else:
        click.echo("\n".join(planned.lines()))
