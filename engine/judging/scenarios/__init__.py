"""MLPerf's four scenarios, each a small value that makes a plan and judges its result."""

from __future__ import annotations

from qs.engine.judging.scenarios.offline import Offline
from qs.engine.judging.scenarios.scenario import Scenario
from qs.engine.judging.scenarios.server import Server
from qs.engine.judging.scenarios.streams import MultiStream, SingleStream

__all__ = ["MultiStream", "Offline", "Scenario", "Server", "SingleStream"]
