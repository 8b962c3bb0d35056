"""Performance as the backend itself times it: its numbers are the row in vendor mode, and stand
beside our engine's in an audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qs.base.scratch import scratch
from qs.base.storable import storable
from qs.evaluate.failures import BackendFailed, note
from qs.evaluate.power import BENCHMARK, Beside
from qs.evaluate.testbed import Testbed
from qs.result import vendor_rows
from qs.result.row import Row
from qs.result.verdict import DoubtEntry
from qs.settings.settings import Settings


async def measure_by_vendor(testbed: Testbed) -> None:
    """Rows from `benchmark`, for a backend that does not support QS mode or with --engine never."""
    for batch_size in testbed.settings.batch_sizes.value:
        testbed.journal.view.line(f"batch size {batch_size}: the backend times itself")
        try:
            beside = Beside(testbed)
            answers = await _answers(testbed, batch_size, beside)
            rows = [
                beside.row(
                    vendor_rows.vendor_row(given, loaded, *_asked(testbed.settings), batch_size),
                    BENCHMARK,
                )
                for given, loaded in answers
            ]
        except BackendFailed as failure:
            note(testbed.journal, failure, batch_size)
            rows = [vendor_rows.failed_row(batch_size, failure.said, failure.outcome)]
        testbed.journal.record.rows += rows
        testbed.journal.save()


async def audit(testbed: Testbed, batch_size: int, row: Row) -> Row:
    """The engine's row with the backend's own numbers for the same batch size beside it."""
    try:
        answers = await _answers(testbed, batch_size, None)
    except BackendFailed as failure:
        audited = vendor_rows.not_audited(row, str(failure))
        if failure.not_written:
            return audited
        note(testbed.journal, failure, batch_size)
        return audited.invalid(failure.said)
    given, loaded = answers[0]
    audited = vendor_rows.audited(
        row, vendor_rows.vendor_part(given, loaded, *_asked(testbed.settings))
    )
    if len(answers) > 1:
        text = f"benchmark gave {len(answers)} rows; the first is shown"
        return audited.doubted(DoubtEntry(code="many_rows", text=text))
    return audited


async def _answers(
    testbed: Testbed, batch_size: int, beside: Beside | None
) -> list[tuple[Mapping[str, Any], int]]:
    """The dicts that `benchmark` returned, each with the batch size that was loaded. `beside` reads
    the machine meanwhile.
    """
    loaded = await testbed.backend.load(batch_size)
    answer = storable(await _benchmark(testbed, batch_size, beside))
    found = answer if isinstance(answer, list) else [answer]
    if not found or not all(isinstance(given, dict) for given in found):
        raise BackendFailed(
            f"benchmark returned {answer!r:.80}; allowed: a dict, or a list of dicts",
            step=f"benchmark batch size {batch_size}",
        )
    return [(given, loaded.batch_size) for given in found]


async def _benchmark(testbed: Testbed, batch_size: int, beside: Beside | None) -> Any:
    if beside is None or testbed.telemetry_s is None:
        return await testbed.backend.benchmark(batch_size)
    with scratch("qs-telemetry-") as folder:
        with beside.context:
            answer = await testbed.backend.benchmark(
                batch_size, telemetry_s=testbed.telemetry_s, folder=str(folder)
            )
        beside.ended(None, str(folder))
    return answer


def _asked(settings: Settings) -> tuple[int, int | None]:
    return settings.clients.value, settings.iterations.value
