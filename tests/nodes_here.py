"""Nodes that are processes on this machine, held open while tests that block use them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from qs.engine import RunResult
from qs.engine.distributed import Nodes, ProcessPlaces, Shipped, open_nodes
from tests.waiting import gone, until

TESTS = Path(__file__).parent
# What nodes need to find the fakes.
SHIPPED = Shipped(modules=(TESTS,))


class NodesHere:
    """Open nodes, and the event loop that they need, in a thread of its own."""

    def __init__(self, count: int, **places: Any):
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.places = ProcessPlaces(count, SHIPPED, **places)
        try:
            self.nodes: Nodes = self.do(open_nodes(self.places).__aenter__())
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> NodesHere:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def do(self, coroutine: Coroutine[Any, Any, Any], limit_s: float = 200.0) -> Any:
        """Await it on the nodes' loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(limit_s)

    def run(self, plan: Any, target: Any, samples: Any = None, **options: Any) -> RunResult:
        return self.do(self.nodes.run(plan, target, samples, **options))

    def pids(self) -> list[int]:
        """Of the processes that run what nodes are asked."""
        return [facts["pid"] for facts in self.nodes.facts]

    def kill(self, number: int, what: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pids()[number], what)

    def close(self) -> None:
        pids = self.pids()
        try:
            self.do(self.nodes.__aexit__(None, None, None))
            until(lambda: all(gone(pid) for pid in pids), 20)
        finally:
            self._end()

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
