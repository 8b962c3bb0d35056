"""MLPerf's four scenarios, each a small value that makes a plan and judges its result."""

from __future__ import annotations

from engine.scenarios.multi_stream import MultiStream
from engine.scenarios.offline import Offline
from engine.scenarios.scenario import Scenario
from engine.scenarios.server import Server
from engine.scenarios.single_stream import SingleStream

__all__ = ["MultiStream", "Offline", "Scenario", "Server", "SingleStream"]
