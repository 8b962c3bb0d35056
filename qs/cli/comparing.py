"""Runs the comparison with the reference for the command line, and says what it found."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from qs.base.interrupt import Interrupt
from qs.base.words import number
from qs.cli.evaluation import measure
from qs.evaluate import checks
from qs.evaluate.evaluation import draw, numeric_faults
from qs.evaluate.prepare import Prepared, prepare
from qs.evaluate.settling import opened, set_up
from qs.result.journal import Journal
from qs.settings.request import Request
from qs.tensors.numeric import PUBLISHED
from qs.watch.terminal import open_view

SHOWN = (*PUBLISHED, "Cosine Similarity", "Max ULP", "Top-1 Agreement", "NaN Count", "Inf Count")


def run_numeric(request: Request, item: int | None, as_json: bool, quiet: bool) -> int:
    """Compare, or replay one item; the exit status is that of a run."""

    async def work(prepared: Prepared, journal: Journal, interrupt: Interrupt) -> None:
        async with opened(prepared, journal) as ready:
            testbed = await set_up(ready, prepared, journal, interrupt)
            settings = testbed.settings
            size, items = settings.batch_sizes.value[0], settings.numeric_items.value
            log = ready.scratch / "reference.log"
            record = journal.record
            await testbed.backend.load(size)
            with journal.stage("numeric"):
                if item is None:
                    compiled = record.compile_result
                    record.numeric = await checks.numeric(
                        testbed.backend, prepared, ready.resolved, size, items, log, compiled
                    )
                    record.diff_dist = draw(record.numeric, journal.folder)
                else:
                    record.numeric = await checks.numeric_item(
                        testbed.backend, prepared, ready.resolved, size, items, item, log
                    )
                record.reasons += numeric_faults(record.numeric)
            if not quiet:
                show(record.numeric, sys.stderr if as_json else sys.stdout)

    return measure(prepare(request), open_view(quiet), as_json, quiet, work)


def show(found: Mapping[str, Any], stream: TextIO) -> None:
    """A paragraph an output, and a line a segment's tensor."""
    which = f"item {found['item']}" if "item" in found else f"{found['items']} items"
    cached = ", from the cache" if found["reference"]["cached"] else ""
    print(
        f"{which} at batch size {found['batch_size']}; reference: {found['reference']['runtime']}{cached}",
        file=stream,
    )
    for kind, rows in (
        ("output", found["outputs"]),
        ("segment's tensor", found.get("segments", {})),
    ):
        for name, row in rows.items():
            print(f"{kind} {name}:{' ' + row['failed'] if row['failed'] else ''}", file=stream)
            told = [f"{key} {number(row[key], 6)}" for key in SHOWN if row.get(key) is not None]
            print(f"  {', '.join(told)}", file=stream)
            worst = row.get("Worst Item")
            if worst:
                print(
                    f"  worst item {worst['item']}, max diff {number(worst['max_diff'], 6)}; replay: --item {worst['item']}",
                    file=stream,
                )
    for side, path in found.get("files", {}).items():
        print(f"{side}: {path}", file=stream)
