"""events.jsonl: what happened when, one JSON object in each line, written as it happens.

It is for people and scripts, not for timing.
"""

from __future__ import annotations

import time
from pathlib import Path

from qs.base.files import Lines, to_json_line


class EventLog:
    """The events of one run: {"time": seconds since 1970, "event": kind, ...}. Each run starts a
    new file. Raises Unwritable where the disk does not take it.
    """

    def __init__(self, path: Path):
        self._lines = Lines(path)

    def write(self, event: str, **fields: object) -> None:
        self._lines.add(to_json_line({"time": time.time(), "event": event, **fields}))

    def close(self) -> None:
        self._lines.close()
