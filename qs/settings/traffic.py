"""How load arrives, as the command line says it: which scenario, what rate, when it ends. Pure:
plain values in, plain values out.

What a QS config states under the same names (`scenarios`, `batching`) is replaced by what is stated
here. How values of several origins are settled is qs.settings.settings's part, and what the engine
makes of them is qs.settings.run_plan'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base.errors import MISSING, Fault, Faults

CLOSED_LOOP = "ClosedLoop"
POISSON, CONSTANT_RATE, STAGES, REPLAY = "Poisson", "ConstantRate", "Stages", "Replay"
SINGLE_STREAM, MULTI_STREAM, SERVER, OFFLINE = "SingleStream", "MultiStream", "Server", "Offline"
# As `--scenario` takes them: also in lower case, and with or without underscores.
NAMES = (
    CLOSED_LOOP,
    POISSON,
    CONSTANT_RATE,
    STAGES,
    REPLAY,
    SINGLE_STREAM,
    MULTI_STREAM,
    SERVER,
    OFFLINE,
)
OPEN_LOOP = (POISSON, CONSTANT_RATE, STAGES, REPLAY, SERVER, OFFLINE)
RATED = (POISSON, CONSTANT_RATE, SERVER)
MLPERF = (SINGLE_STREAM, MULTI_STREAM, SERVER, OFFLINE)
POISSON_ARRIVALS, EVEN_ARRIVALS = "poisson", "even"

_STOP = (
    "min_duration_s",
    "min_queries",
    "until_stable",
    "stable_percentile",
    "max_errors",
    "max_error_rate",
)


@dataclass(frozen=True)
class Traffic:
    """The options of load. None: not given.

    stages        (seconds, rate, ramp): `ramp` goes from the rate before in a straight line
    slo_ms        the bound of Server's percentile
    until_stable  a share: 0.01 is 1 %; max_error_rate likewise
    """

    scenario: str | None = None
    rate: float | None = None
    arrivals: str | None = None
    stages: tuple[tuple[float, float, bool], ...] | None = None
    replay: Path | None = None
    replay_column: str | None = None
    replay_speed: float | None = None
    latency_slo_ms: float | None = None
    percentile: float | None = None
    samples_per_query: int | None = None
    think_time_s: float | None = None
    min_duration_s: float | None = None
    min_queries: int | None = None
    until_stable: float | None = None
    stable_percentile: float | None = None
    max_errors: int | None = None
    max_error_rate: float | None = None
    drain_s: float | None = None
    max_backlog: int | None = None
    max_batch_size: int | None = None
    max_delay_us: float | None = None
    spin: str | None = None

    @property
    def name(self) -> str | None:
        """The scenario that is meant: what is given implies it where --scenario does not say it.
        None: nothing of the kind is given.
        """
        if self.scenario is not None:
            return self.scenario
        if self.stages is not None:
            return STAGES
        if self.replay is not None:
            return REPLAY
        if self.rate is not None:
            return CONSTANT_RATE if self.arrivals == EVEN_ARRIVALS else POISSON
        return None

    def values(self) -> dict[str, Any]:
        """By the names that a plan settles; None where nothing is given. Raises Faults for what
        cannot be together.
        """
        faults = self.faults()
        if faults:
            raise Faults(faults)
        stop = {key: getattr(self, key) for key in _STOP if getattr(self, key) is not None}
        batching = None
        if self.max_batch_size is not None:
            batching = {
                "max_batch_size": self.max_batch_size,
                "max_delay_us": self.max_delay_us or 0.0,
            }
        return {
            "scenarios": self._scenarios(),
            "stop": stop or None,
            "batching": batching,
            "think_time_s": self.think_time_s,
            "drain_s": self.drain_s,
            "max_backlog": self.max_backlog,
            "spin": self.spin,
        }

    def _scenarios(self) -> list[dict[str, Any]] | None:
        name = self.name
        if name is None:
            return None
        if name == CLOSED_LOOP:
            return []
        stated = {
            "target_qps": self.rate,
            "latency_slo_ms": self.latency_slo_ms,
            "percentile": self.percentile,
            "samples_per_query": self.samples_per_query,
            "stages": None if self.stages is None else [list(stage) for stage in self.stages],
            "arrivals": self.arrivals if name == STAGES else None,
            "due_file": None if self.replay is None else str(self.replay.absolute()),
            "column": self.replay_column,
            "speed": self.replay_speed,
        }
        return [
            {"name": name, **{key: value for key, value in stated.items() if value is not None}}
        ]

    def faults(self) -> list[Fault]:
        """What is missing, or means nothing, beside the scenario."""
        name = self.name or CLOSED_LOOP
        found = []
        needs: Sequence[tuple[str, object, tuple[str, ...]]] = (
            ("rate", self.rate, (POISSON, CONSTANT_RATE, SERVER)),
            ("stages", self.stages, (STAGES,)),
            ("replay", self.replay, (REPLAY,)),
        )
        for flag, value, scenarios in needs:
            if name in scenarios and value is None:
                found.append(
                    Fault(f"--{flag}", flag, MISSING, f"given, as --scenario is {spelled(name)}")
                )
        means: Sequence[tuple[str, object, tuple[str, ...]]] = (
            ("rate", self.rate, (*RATED, OFFLINE)),
            ("stages", self.stages, (STAGES,)),
            ("replay", self.replay, (REPLAY,)),
            ("replay_column", self.replay_column, (REPLAY,)),
            ("replay_speed", self.replay_speed, (REPLAY,)),
            ("arrivals", self.arrivals, (STAGES, POISSON, CONSTANT_RATE)),
            ("latency_slo", self.latency_slo_ms, (SERVER,)),
            ("percentile", self.percentile, (SINGLE_STREAM, MULTI_STREAM, SERVER)),
            ("samples_per_query", self.samples_per_query, (MULTI_STREAM, OFFLINE)),
            ("think_time", self.think_time_s, (CLOSED_LOOP,)),
            ("max_backlog", self.max_backlog, OPEN_LOOP),
            ("max_batch_size", self.max_batch_size, OPEN_LOOP),
            ("spin", self.spin, OPEN_LOOP),
        )
        for flag, value, scenarios in means:
            if value is not None and name not in scenarios:
                allowed = f"given only with --scenario {', '.join(map(spelled, scenarios))}"
                found.append(
                    Fault(f"--{flag}", flag, value, allowed, hint=f"here it is {spelled(name)}")
                )
        for flag, value in (
            ("min_duration", self.min_duration_s),
            ("min_queries", self.min_queries),
        ):
            if value is not None and name in MLPERF:
                instead = "--duration" if flag == "min_duration" else "--iterations"
                allowed = f"left out: {spelled(name)} has its own, which {instead} states"
                found.append(Fault(f"--{flag}", flag, value, allowed))
        if self.max_delay_us is not None and self.max_batch_size is None:
            found.append(
                Fault(
                    "--max_delay",
                    "max_delay",
                    self.max_delay_us,
                    "given only with --max_batch_size",
                )
            )
        if (
            self.arrivals is not None
            and name in (POISSON, CONSTANT_RATE)
            and self.scenario is not None
        ):
            wanted = EVEN_ARRIVALS if name == CONSTANT_RATE else POISSON_ARRIVALS
            if self.arrivals != wanted:
                found.append(
                    Fault(
                        "--arrivals",
                        "arrivals",
                        self.arrivals,
                        f"{wanted}, as --scenario is {spelled(name)}",
                    )
                )
        return found


def spelled(name: str) -> str:
    """As one types it: SingleStream -> single_stream."""
    parts = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return parts.lstrip("_")


def stage_text(stage: Sequence[Any]) -> str:
    """(10.0, 500.0, True) -> "10s:~500", as --stages takes it."""
    seconds, rate, ramp = stage
    return f"{seconds:g}s:{'~' if ramp else ''}{rate:g}"
