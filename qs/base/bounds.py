"""The most that a number may be, wherever a person, a file or a vendor says it: far above what any
machine of today does, and far below what would fill its memory or keep a run from starting.
"""

from __future__ import annotations

COUNT = 10**12  # iterations, queries: they are counted, never held
CLIENTS = 100_000  # each is a thread, or a coroutine
TURNS = 100  # of a case
NODES = 10_000  # machines that share a load: the driver has a connection to each
COPIES = 10_000  # loaded instances; also threads inside one call
BATCH = 1_000_000  # items that share a call: their batch is made in memory
SAMPLES = 1_000_000  # distinct batches to cycle through
WAITING = 1_000_000  # queries in a line: so far the schedule is looked ahead
CASES = 1000  # batch sizes, scenarios, stages: each is a case, or a part of one
CPU = 65_535  # eight times the most that Linux can be built for
SEED = 2**63 - 1  # what a result in JSON can hold
PER_S = 1e9  # one request a nanosecond
SECONDS = 1e9  # some 31 years
TELEMETRY_S = (0.1, 60.0)  # between two readings of the machine's power
