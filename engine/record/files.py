"""HdrHistogram interval logs (format 1.2), written through the hdrhistogram package."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from qs.engine.record.intervals import IntervalRow

NS_PER_MS = 1e6


def write_hlog(path: Path, intervals: Sequence[IntervalRow], started_at: float) -> None:
    """Write one interval histogram a row, its values in ns, its start relative to `started_at`
    (seconds since the epoch).

    The file appears whole or not at all.
    """
    from hdrh.log import HistogramLogWriter

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            writer = HistogramLogWriter(file)
            writer.output_comment("[Response times in ns]")
            writer.output_log_format_version()
            stamp = datetime.fromtimestamp(started_at, timezone.utc).isoformat(
                timespec="milliseconds"
            )
            writer.output_comment(f"[StartTime: {started_at:.3f} (seconds since epoch), {stamp}]")
            writer.output_legend()
            for row in intervals:
                if row.completed:
                    # The library takes a start of 0 for "not given" and then reads the histogram's
                    # own stamps, in ms.
                    hdr = row.histogram().to_hdr()
                    hdr.set_start_time_stamp(row.start_s * 1000)
                    hdr.set_end_time_stamp((row.start_s + row.length_s) * 1000)
                    writer.output_interval_histogram(hdr, max_value_unit_ratio=NS_PER_MS)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
