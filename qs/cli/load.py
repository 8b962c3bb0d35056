"""`qs load`: a load test of a model file or a compile result. It reads the options; what they ask
for is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from qs.cli import gating
from qs.cli import options as given
from qs.cli.helping import Command
from qs.cli.naming import file_or_task

if TYPE_CHECKING:
    from qs.watch.view import View


@click.command(
    "load", cls=Command, short_help="Load-test a model file, a compile result or a served model."
)
@file_or_task
@given.backends
@given.rounds
@given.places
@given.amount
@given.traffic
@given.stopping
@given.pools
@given.measuring
@given.feeding
@given.dry_run
@given.server
@given.llm
@given.answers
@given.timeouts
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
    """Load-test a FILE: a model (any .onnx for CPU; whatever the backend accepts), or the compile
    result that `qs run --compile_only` left. Or the model of a TASK, fed its data set's samples. Or
    what a server serves at a URL.

    Inputs are read from the file, or asked of the server. Dynamic dimensions are guessed, tried
    with one inference, and reported as guesses; --shape states them. Without --iterations or
    --duration each batch size is measured until its throughput is known to 5 %, for at most 10 s or
    --time_limit.

    \b
    Examples:
      qs load digits
      qs load model.onnx --duration 2s
      qs load model.onnx --hardware_type CPU --batch_sizes 1,8 --clients 2 --iterations 100
      qs load model.onnx --hardware_type CPU --scenario server --rate 200 --latency_slo 20ms
      qs load model.onnx --hardware_type CPU --stages 1s:100,1s:~300 --pool process --clients 2
      qs load model.onnx --hardware_type CPU,OPENVINO --batch_sizes 1,8
      qs load model.onnx --hardware_type CPU --dry_run
      qs load kserve+http://127.0.0.1:8000/MODEL --rate 200
      qs load kserve+grpc://127.0.0.1:8001/MODEL --clients 8
      qs load openai+http://127.0.0.1:8080/v1 --model MODEL --clients 4
    """
    from qs.cli.lineup import load_several, outline_several, several
    from qs.cli.measuring import load_artifact
    from qs.watch.terminal import open_view

    if several(options):
        if dry_run:
            return outline_several("load", options, as_json, quiet)
        return load_several(options, as_json, quiet)
    options.pop("rounds")
    view = open_view(quiet)
    if dry_run:
        return _outlined(options, view, as_json)
    ended = load_artifact(options, view)

    from qs.cli.concluding import conclude

    return conclude(ended, view, as_json, quiet)


def _outlined(options: Mapping[str, Any], view: View, as_json: bool) -> int:
    from qs.base.scratch import scratch
    from qs.cli.concluding import show_plan
    from qs.cli.measuring import load_request, prepared_load

    with scratch("qs-load-") as folder:
        return show_plan(prepared_load(load_request(options), folder, view, probe=False), as_json)
