"""`qs numeric`: the comparison with the reference alone, or one of its items again. It reads the
options; qs.evaluate.checks compares.
"""

from __future__ import annotations

import click

from qs.cli import options as given


@click.command(
    "numeric", short_help="Compare a backend's numbers with the fp32 reference, or replay one item."
)
@click.option(
    "--task",
    required=True,
    help="Name of a file in workloads/, without .json.",
    shell_complete=given.known("tasks"),
)
@given.hardware
@given.places
@click.option(
    "--item", type=click.IntRange(min=0), help="Replay this item alone, and save its arrays."
)
@click.option(
    "--numeric_items",
    type=click.IntRange(min=1),
    help="Items compared with the reference.  [default: 16]",
)
@click.option(
    "--batch_size",
    type=click.IntRange(min=1),
    help="Batch size to compare at.  [default: the task's first]",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Seed of generated weights and inputs.  [default: 0]"
)
@given.answers
@given.timeouts
@given.process
@given.output
def command(item: int | None, batch_size: int | None, as_json: bool, quiet: bool, **options) -> int:
    """Compare a backend's numbers with those of the model's own graph, in fp32 on ONNX Runtime's CPU.

    The worst item of each output is named; --item replays it in the batch that it had, and saves feeds, reference and answer as .npz.

    \b
    Examples:
      qs numeric --task digits-cnn-onnx-fp32 --hardware_type CPU
      qs numeric --task digits-cnn-onnx-fp32 --hardware_type CPU --item 5
    """
    from qs.cli.comparing import run_numeric

    sizes = None if batch_size is None else (batch_size,)
    request = given.request_of(
        {**options, "batch_sizes": sizes, "no_history": True}, kind="numeric"
    )
    return run_numeric(request, item, as_json, quiet)
