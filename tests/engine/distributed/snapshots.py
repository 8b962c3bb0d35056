"""Snapshots that were made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qs.engine import (
    Histogram,
)
from qs.engine.conduct.lead import Snapshot
from tests.fakes import MS, S


def histogram(values) -> Histogram:
    found = Histogram()
    found.record(np.asarray(values, np.int64))
    return found


def snapshot(response=(MS,), errors=None, now_ns=3 * S, **changes):
    times = histogram(response)
    found = Snapshot(now_ns, 0, times.count, errors or {}, times, times, Histogram())
    return replace(found, **changes)
