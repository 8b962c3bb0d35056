"""HdrHistograms as they are stored: compressed, in base64, in a log's lines and in saved trials.

The hdrhistogram package decodes them. It unpacks whatever size comes out and makes room for
whatever range is stated, so both are looked at before it may.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np

from qs.engine.statistics import COUNTS, HIGHEST_NS, LOWEST_NS, SIGNIFICANT_DIGITS

MOST_COUNT_BYTES = 9  # of one count in a payload


def counts_of(payload: str) -> np.ndarray:
    """(bins,), int64, at most COUNTS of them: the counts that a payload holds, none below 0.

    Memory is bounded, whatever the payload says. Raises ValueError if its values are not in ns with
    three digits, and whatever else base64, zlib and the package raise of a damaged one.
    """
    from hdrh.codec import ExternalHeader, PayloadHeader, ext_header_size, payload_header_size
    from hdrh.histogram import HdrHistogram

    packed = base64.b64decode(payload, validate=True)
    ExternalHeader.from_buffer_copy(packed)
    unpacking = zlib.decompressobj()
    most = payload_header_size + MOST_COUNT_BYTES * COUNTS
    content = unpacking.decompress(packed[ext_header_size:], most)
    if not unpacking.eof:
        raise ValueError("its payload is cut off, or larger than any histogram")
    header = PayloadHeader.from_buffer_copy(content)
    if (header.lowest_trackable_value, header.significant_figures) != (
        LOWEST_NS,
        SIGNIFICANT_DIGITS,
    ) or header.highest_trackable_value > HIGHEST_NS:
        raise ValueError("its values are not in ns with three digits")
    counts = np.frombuffer(HdrHistogram.decode(payload).counts, np.int64)
    if counts.min(initial=0) < 0:
        raise ValueError("it counts fewer than no values")
    return counts
