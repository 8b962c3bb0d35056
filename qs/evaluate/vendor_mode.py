"""Performance as the backend itself times it: in vendor mode its numbers are the row, in an audit
they stand beside our engine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qs.evaluate.failures import BackendFailed
from qs.evaluate.losses import note
from qs.result import vendor_rows
from qs.result.row import Outcome, Row
from qs.settings.settings import Settings

NOT_WRITTEN = "NotImplementedError"


async def measure_by_vendor(bench: Any) -> None:
    """Rows from `benchmark`, for a backend that does not support QS mode or with --engine never;
    `bench` is performance.Bench.
    """
    for batch_size in bench.settings.batch_sizes.value:
        bench.journal.view.line(f"batch size {batch_size}: the backend times itself")
        try:
            answers = await _answers(bench, batch_size)
            rows = [
                vendor_rows.vendor_row(given, loaded, *_asked(bench.settings), batch_size)
                for given, loaded in answers
            ]
        except BackendFailed as failure:
            note(bench.journal, failure, batch_size)
            rows = [vendor_rows.failed_row(batch_size, failure.said, failure.outcome)]
        bench.journal.record.rows += rows
        bench.journal.save()


async def audit(bench: Any, batch_size: int, row: Row) -> Row:
    """The engine's row with the backend's own numbers for the same batch size beside it."""
    try:
        answers = await _answers(bench, batch_size)
    except BackendFailed as failure:
        audited = vendor_rows.not_audited(row, str(failure))
        if failure.outcome is Outcome.RAISED and NOT_WRITTEN in str(failure):
            return audited
        note(bench.journal, failure, batch_size)
        return audited.invalid(failure.said)
    given, loaded = answers[0]
    audited = vendor_rows.audited(
        row, vendor_rows.vendor_part(given, loaded, *_asked(bench.settings))
    )
    if len(answers) > 1:
        return audited.warned(f"benchmark gave {len(answers)} rows; the first is shown")
    return audited


async def _answers(bench: Any, batch_size: int) -> list[tuple[Mapping[str, Any], int]]:
    """What `benchmark` returned at that batch size, each dict with the batch size that was loaded."""
    loaded = await bench.backend.load(batch_size)
    answer = await bench.backend.benchmark(batch_size)
    found = answer if isinstance(answer, list) else [answer]
    if not found or not all(isinstance(given, dict) for given in found):
        raise BackendFailed(
            f"benchmark returned {answer!r:.80}; allowed: a dict, or a list of dicts",
            step=f"benchmark batch size {batch_size}",
        )
    return [(given, loaded.batch_size) for given in found]


def _asked(settings: Settings) -> tuple[int, int | None]:
    return settings.clients.value, settings.iterations.value
