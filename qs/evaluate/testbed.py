"""What every case of a run is measured with: the backend, ready, and the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qs.base.interrupt import Interrupt
from qs.evaluate.backend import Backend
from qs.evaluate.expectation import Footprint, PredictTimeout
from qs.evaluate.journal import Journal
from qs.evaluate.served_model import Served
from qs.settings.request import Request
from qs.settings.settings import Settings
from qs.telemetry.watching import Telemetry

if TYPE_CHECKING:
    from qs.nodes.fleet import Fleet

# Our engine drives every backend, and none is asked for its own numbers: a load test is the
# engine's.
DRIVE = "drive"


@dataclass(frozen=True)
class Testbed:
    """One for a run: it also remembers what earlier cases took."""

    backend: Backend
    settings: Settings
    journal: Journal
    interrupt: Interrupt
    qs_mode: bool = True
    engine: str = "auto"  # which rows our engine drives: auto, always, never; DRIVE
    in_process: bool = False
    # the reference's items and answers, once the backend has agreed with them
    reference: Path | None = None
    timeouts: PredictTimeout = field(default_factory=PredictTimeout)
    footprint: Footprint = field(default_factory=Footprint)
    # What another request would settle to, with the same backend.
    resettled: Callable[[Request], Settings] | None = None
    # Whether cases are trials: whoever makes them says how each one went.
    trials: bool = False
    # What the machine tells of its power and utilisation; None: nobody asks it.
    telemetry: Telemetry | None = None
    # The server that answers, watched beside each case; None: the model is not served.
    served: Served | None = None
    # What its client was found to cost in this run, by what that depends on.
    client_costs: dict[tuple[Any, ...], Any] = field(default_factory=dict)

    # Where cases are measured; None: on this machine.
    fleet: Fleet | None = None

    __test__ = False  # no test class, whatever pytest makes of the name

    @property
    def telemetry_s(self) -> float | None:
        """How often it is asked."""
        return None if self.telemetry is None else self.telemetry.interval_s

    @property
    def driven(self) -> bool:
        """Whether our engine drives predict; otherwise the backend times itself."""
        return self.engine in ("always", DRIVE) or (self.qs_mode and self.engine != "never")
