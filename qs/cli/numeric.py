"""`qs numeric`: the comparison with the reference alone, or one of its items again. It reads the
options and shows what qs.evaluate found.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

import click

from qs.base import bounds
from qs.base.words import number
from qs.cli import options as given
from qs.cli.basic_types import Whole
from qs.cli.grouping import CHECKS
from qs.cli.helping import Command
from qs.cli.naming import settled, task_word

MORE = ("Cosine Similarity", "Max ULP", "Top-1 Agreement", "NaN Count", "Inf Count")


@click.command(
    "numeric",
    cls=Command,
    short_help="Compare a backend's numbers with the fp32 reference, or replay one item.",
)
@task_word
@given.task
@given.hardware
@given.places
@given.option(
    CHECKS,
    "--item",
    type=Whole(0, bounds.COUNT),
    help="Replay this item alone, and save its arrays.",
)
@given.numeric_items
@given.option(
    CHECKS,
    "-b",
    "--batch_size",
    aliases=["--batch_sizes"],
    type=Whole(1, bounds.BATCH),
    help="Batch size to compare at.  [default: the task's first]",
)
@given.seed
@given.url
@given.answers
@given.timeouts
@given.process
@given.history
@given.output
def command(item: int | None, batch_size: int | None, as_json: bool, quiet: bool, **options) -> int:
    """Compare a backend's numbers with those of the model's own graph in fp32, on ONNX Runtime's
    CPU provider.

    The worst item of each output is named; --item replays it in the same batch, and saves feeds,
    reference and answer as .npz.

    \b
    Examples:
      qs numeric digits
      qs numeric --task digits-cnn-onnx-fp32 --hardware_type CPU --item 5
    """
    from qs.cli.concluding import conclude
    from qs.cli.requests import request_of
    from qs.evaluate.evaluation import compare_alone
    from qs.evaluate.prepare import prepare
    from qs.evaluate.running import run
    from qs.result.result import Kind
    from qs.watch.terminal import open_view

    sizes = None if batch_size is None else (batch_size,)
    options = settled(options)
    request = request_of({**options, "batch_sizes": sizes}, kind=Kind.NUMERIC)
    view = open_view(quiet)
    ended = run(prepare(request), view, compare_alone(item))
    if ended.record.numeric and not quiet:
        show(ended.record.numeric, sys.stderr if as_json else sys.stdout)
    return conclude(ended, view, as_json, quiet)


def show(found: Mapping[str, Any], stream: TextIO) -> None:
    """A paragraph for each output and for each tensor inside the graph."""
    from qs.tensors.numeric import PUBLISHED

    shown = (*PUBLISHED, *MORE)
    which = f"item {found['item']}" if "item" in found else f"{found['items']} items"
    cached = ", from the cache" if found["reference"]["cached"] else ""
    print(
        f"{which} at batch size {found['batch_size']}; "
        f"reference: {found['reference']['runtime']}{cached}",
        file=stream,
    )
    for kind, rows in (
        ("output", found["outputs"]),
        ("segment's tensor", found.get("segments", {})),
    ):
        for name, row in rows.items():
            print(f"{kind} {name}:{' ' + row['failed'] if row['failed'] else ''}", file=stream)
            told = [f"{key} {number(row[key], 6)}" for key in shown if row.get(key) is not None]
            print(f"  {', '.join(told)}", file=stream)
            worst = row.get("Worst Item")
            if worst:
                print(
                    f"  worst item {worst['item']}, max diff {number(worst['max_diff'], 6)}; "
                    f"replay: --item {worst['item']}",
                    file=stream,
                )
    for side, path in found.get("files", {}).items():
        print(f"{side}: {path}", file=stream)
