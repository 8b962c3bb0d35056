"""Python's garbage collector while an event loop makes requests: a full collection stops the loop
for milliseconds, and every request in flight is late by as much.

What there is after the warm-up is set aside, since it will not become garbage, and the collector is
told when it may run. Everything is put back afterwards.
"""

from __future__ import annotations

import gc
from time import perf_counter_ns
from typing import Any

# So many new objects make a collection worth its while in a pause, where it takes some 50 us, and
# without one: what is in cycles would fill the memory.
_IN_A_PAUSE, _AT_ANY_TIME = 2_000, 50_000
# Every so many collections one looks at all that has come up since the warm-up.
_FULL = 50


class Collector:
    """Keeps the collector to pauses from `begin` to `end`. `pauses` counts the collections that
    came at another time, whoever asked for them, and `longest_ns` is the longest of them.
    """

    def __init__(self) -> None:
        self.pauses = self.longest_ns = 0
        self._began_ns = self._collected = 0
        self._on = self._resting = self._frozen = False
        # set it where much is kept that is in no cycle: what is left after a collection is set
        # aside too
        self.keeps = False

    def begin(self) -> None:
        """Nothing, where the program has turned the collector off."""
        if not gc.isenabled():
            return
        self._on = True
        gc.collect()
        gc.disable()
        # What the program has set aside itself could not be told from ours afterwards.
        self._frozen = not gc.get_freeze_count()
        if self._frozen:
            gc.freeze()
        gc.callbacks.append(self._collecting)

    def end(self) -> None:
        if self._on:
            self._on = False
            gc.callbacks.remove(self._collecting)
            if self._frozen:
                gc.unfreeze()
            gc.enable()

    def collect(self, in_a_pause: bool) -> None:
        """Collect, if there is enough of it."""
        if self._on and gc.get_count()[0] > (_IN_A_PAUSE if in_a_pause else _AT_ANY_TIME):
            self._collected += 1
            self._resting = in_a_pause
            gc.collect(1 if self._collected % _FULL else 2)
            self._resting = False
            if self.keeps and self._frozen:
                gc.freeze()

    def _collecting(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began_ns = perf_counter_ns()
        elif self._began_ns and not self._resting:
            self.pauses += 1
            self.longest_ns = max(self.longest_ns, perf_counter_ns() - self._began_ns)
