"""events.jsonl: what happened when, one JSON object in each line, written as it happens.

It is for people and scripts, not for timing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import BinaryIO


class EventLog:
    """The events of one run: {"time": seconds since 1970, "event": kind, ...}. Each run starts a
    new file.
    """

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("wb")

    def write(self, event: str, **fields: object) -> None:
        import orjson

        line = {"time": time.time(), "event": event, **fields}
        self._file.write(orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE))
        self._file.flush()

    def close(self) -> None:
        self._file.close()
