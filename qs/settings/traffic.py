"""How load arrives: which scenario, at what rate, judged by what, and when it ends.

`ScenarioSettings` is one scenario, of a QS config or of the command line; `Traffic` is what the
command line says, which replaces what a QS config states under the same names. A QS config and a
report's rows spell some settings in their own way (`target_qps`, and the bound in ms as
`latency_slo_ms`); that spelling is read and written here and used nowhere else. Which value holds
is settled in qs.settings.settings; the engine's plan of it is made in qs.settings.run_plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from qs.base.errors import MISSING, Fault, Faults
from qs.base.scenarios import (
    CLOSED_LOOP,
    CONSTANT_RATE,
    GAMMA,
    MLPERF,
    MULTI_STREAM,
    OFFLINE,
    OPEN_LOOP,
    POISSON,
    QUEUED,
    RATED,
    REPLAY,
    SERVER,
    SESSIONS,
    SINGLE_STREAM,
    STAGES,
    spelled,
)
from qs.config.qs_config import Batching, Scenario, Stage

POISSON_ARRIVALS, EVEN_ARRIVALS, GAMMA_ARRIVALS = "poisson", "even", "gamma"


# What each scenario reads, beside its name.
USES: Mapping[str, tuple[str, ...]] = {
    POISSON: ("rate_per_s", "duration_s", "seed"),
    CONSTANT_RATE: ("rate_per_s", "duration_s"),
    GAMMA: ("rate_per_s", "burstiness", "duration_s", "seed"),
    STAGES: ("stages", "arrivals", "seed"),
    REPLAY: ("due_file", "column", "speed"),
    SESSIONS: (
        "users",
        "sessions_per_s",
        "arrivals",
        "burstiness",
        "think_time_s",
        "duration_s",
        "seed",
    ),
    SINGLE_STREAM: ("percentile", "duration_s"),
    MULTI_STREAM: ("percentile", "duration_s", "samples_per_query"),
    SERVER: ("rate_per_s", "bound_s", "percentile", "duration_s", "seed"),
    OFFLINE: ("rate_per_s", "duration_s", "samples_per_query"),
}
_PUBLISHED = {"rate_per_s": "target_qps", "bound_s": "latency_slo_ms"}
_MS_PER_S = 1e3


@dataclass(frozen=True)
class ScenarioSettings:
    """A scenario by name, with its settings; None: not stated."""

    name: str
    # Queries/s that arrive; in Offline the samples/s that are expected.
    rate_per_s: float | None = None
    # The bound of the response time's percentile.
    bound_s: float | None = None
    percentile: float | None = None
    # How long load arrives; of MLPerf's scenarios the least duration.
    duration_s: float | None = None
    samples_per_query: int | None = None
    # Of the arrivals.
    seed: int | None = None
    stages: tuple[Stage, ...] | None = None
    # "poisson" or "even" within stages; of conversations "gamma" too.
    arrivals: str | None = None
    # The shape of gamma distributed gaps: 1 is Poisson, less is burstier.
    burstiness: float | None = None
    # Conversations: so many at a time, or so many that arrive per second; and the pause before a
    # turn that states none.
    users: int | None = None
    sessions_per_s: float | None = None
    think_time_s: float | None = None
    # The file of recorded due times, its column, and how many times as fast it is replayed.
    due_file: str | None = None
    column: str | None = None
    speed: float | None = None
    # Where the due times are read, if they are those of prompts and `due_file` is the prompts'.
    read_from: str | None = None

    @classmethod
    def of_config(cls, entry: Scenario) -> ScenarioSettings:
        """An entry of a QS config's `scenarios`."""
        own = {name: getattr(entry, name) for name in _SAME}
        bound_ms = entry.latency_slo_ms
        bound_s = None if bound_ms is None else bound_ms / _MS_PER_S
        return cls(**own, rate_per_s=entry.target_qps, bound_s=bound_s)

    @property
    def open_loop(self) -> bool:
        return self.name in OPEN_LOOP

    @property
    def used(self) -> ScenarioSettings:
        """Without the settings that mean nothing in it."""
        nothing: dict[str, Any] = dict.fromkeys(self._unused)
        return replace(self, **nothing)

    @property
    def warnings(self) -> list[str]:
        """One for each setting that means nothing in it."""
        return [
            f"{_PUBLISHED.get(name, name)} means nothing in {self.name}; it has no effect"
            for name in self._unused
        ]

    def published(self) -> dict[str, Any]:
        """What was stated, by the keys of a QS config, with its name."""
        stated = {"name": self.name}
        for name in _STATED:
            if getattr(self, name) is not None:
                stated |= self._entry(name)
        return stated

    def settings(self) -> dict[str, Any]:
        """What a row of the report shows: every setting that the scenario reads, by the keys of a
        QS config; None: the scenario's own.
        """
        found: dict[str, Any] = {}
        for name in USES[self.name]:
            found |= self._entry(name)
        return found

    @property
    def _unused(self) -> list[str]:
        return [
            name
            for name in _STATED
            if name not in USES[self.name] and getattr(self, name) is not None
        ]

    def _entry(self, name: str) -> dict[str, Any]:
        value = getattr(self, name)
        if name == "bound_s" and value is not None:
            value = round(value * _MS_PER_S, 9)  # 0.07 s are 70 ms, not 70.00000000000001
        if name == "stages" and value is not None:
            value = [list(stage) for stage in value]
        return {_PUBLISHED.get(name, name): value}


_STATED = [each.name for each in fields(ScenarioSettings) if each.name not in ("name", "read_from")]
_SAME = ["name", *(name for name in _STATED if name not in _PUBLISHED)]


@dataclass(frozen=True)
class StopRules:
    """When a measured phase ends, beside its iterations and its duration, and how many errors it
    may have. None: not given.
    """

    min_duration_s: float | None = None
    min_queries: int | None = None
    # A share: 0.01 is 1 %.
    until_stable: float | None = None
    stable_percentile: float | None = None
    max_errors: int | None = None
    max_error_rate: float | None = None

    @property
    def end_a_run(self) -> bool:
        """Whether they end a run that states neither a duration nor a count."""
        ends = (self.until_stable, self.min_duration_s, self.min_queries)
        return any(rule is not None for rule in ends)

    def stated(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Traffic:
    """The options of load. None: not given."""

    scenario: str | None = None
    rate_per_s: float | None = None
    arrivals: str | None = None
    burstiness: float | None = None
    users: int | None = None
    sessions_per_s: float | None = None
    # (seconds, rate, ramp): `ramp` goes from the rate before in a straight line
    stages: tuple[tuple[float, float, bool], ...] | None = None
    replay: Path | None = None
    replay_column: str | None = None
    replay_speed: float | None = None
    # A file with the due times of prompts; `replay` is then the prompts' own.
    dues: Path | None = None
    # The bound of Server's percentile.
    bound_s: float | None = None
    percentile: float | None = None
    samples_per_query: int | None = None
    think_time_s: float | None = None
    stop: StopRules = StopRules()
    drain_s: float | None = None
    max_backlog: int | None = None
    max_batch_size: int | None = None
    max_delay_us: float | None = None
    spin: str | None = None

    @property
    def name(self) -> str | None:
        """The scenario that is meant: that of --scenario, else the one that the other options
        imply. None: no option of a scenario is given.
        """
        if self.scenario is not None:
            return self.scenario
        if self.stages is not None:
            return STAGES
        if self.replay is not None or self.replay_speed is not None:
            return REPLAY
        if self.users is not None or self.sessions_per_s is not None:
            return SESSIONS
        if self.rate_per_s is not None:
            if self.arrivals == GAMMA_ARRIVALS or self.burstiness is not None:
                return GAMMA
            return CONSTANT_RATE if self.arrivals == EVEN_ARRIVALS else POISSON
        return None

    def check(self, prompts: bool = False) -> None:
        """Raises Faults for options that do not go together. Prompts may bring due times."""
        faults = [
            *self._missing(prompts),
            *self._out_of_place(),
            *self._minimums_of_mlperf(),
            *self._delay_alone(),
            *self._other_arrivals(),
            *self._of_gamma(),
            *self._of_sessions(),
        ]
        if faults:
            raise Faults(faults)

    def with_dues(self, prompts: Path | None, dues: Path | None) -> Traffic:
        """With the due times that prompts bring, unless another load is asked for. Raises Faults if
        they are to be replayed and there are none.

        prompts   the file that they came from
        dues      the file of their due times; None: they have none
        """
        if self.replay is not None or self.name not in (None, REPLAY):
            return self
        if dues is None and self.name == REPLAY:
            allowed = "given, as --scenario is replay and the prompts have no due times"
            raise Faults([Fault("--replay", "replay", MISSING, allowed)])
        return self if dues is None else replace(self, replay=prompts or dues, dues=dues)

    def scenarios(self) -> tuple[ScenarioSettings, ...] | None:
        """The scenario as the only one; none of them for the closed loop; None: not given."""
        name = self.name
        if name is None:
            return None
        if name == CLOSED_LOOP:
            return ()
        return (
            ScenarioSettings(
                name,
                rate_per_s=self.rate_per_s,
                bound_s=self.bound_s,
                percentile=self.percentile,
                samples_per_query=self.samples_per_query,
                stages=self.stages,
                arrivals=self.arrivals if name in (STAGES, SESSIONS) else None,
                burstiness=self.burstiness,
                users=self.users,
                sessions_per_s=self.sessions_per_s,
                think_time_s=self.think_time_s,
                due_file=None if self.replay is None else str(self.replay.absolute()),
                column=self.replay_column,
                speed=self.replay_speed,
                read_from=None if self.dues is None else str(self.dues.absolute()),
            ),
        )

    def batching(self) -> Batching | None:
        if self.max_batch_size is None:
            return None
        return Batching(max_batch_size=self.max_batch_size, max_delay_us=self.max_delay_us or 0.0)

    @property
    def _meant(self) -> str:
        return self.name or CLOSED_LOOP

    def _missing(self, prompts: bool) -> Iterator[Fault]:
        """What the scenario needs and is not given."""
        needs = (
            ("rate", self.rate_per_s, RATED),
            ("stages", self.stages, (STAGES,)),
            ("replay", self.replay, (REPLAY,)),
        )
        for flag, value, scenarios in needs:
            if self._meant in scenarios and value is None and not (flag == "replay" and prompts):
                allowed = f"given, as --scenario is {spelled(self._meant)}"
                yield Fault(f"--{flag}", flag, MISSING, allowed)

    def _out_of_place(self) -> Iterator[Fault]:
        """What means nothing in the scenario."""
        means = (
            ("rate", self.rate_per_s, (*RATED, OFFLINE)),
            ("stages", self.stages, (STAGES,)),
            ("replay", self.replay, (REPLAY,)),
            ("replay_column", self.replay_column, (REPLAY,)),
            ("replay_speed", self.replay_speed, (REPLAY,)),
            ("arrivals", self.arrivals, (STAGES, POISSON, CONSTANT_RATE, GAMMA, SESSIONS)),
            ("burstiness", self.burstiness, (GAMMA, SESSIONS)),
            ("users", self.users, (SESSIONS,)),
            ("sessions_per_s", self.sessions_per_s, (SESSIONS,)),
            ("latency_slo", self.bound_s, (SERVER,)),
            ("percentile", self.percentile, (SINGLE_STREAM, MULTI_STREAM, SERVER)),
            ("samples_per_query", self.samples_per_query, (MULTI_STREAM, OFFLINE)),
            ("think_time", self.think_time_s, (CLOSED_LOOP, SESSIONS)),
            ("max_backlog", self.max_backlog, QUEUED),
            ("max_batch_size", self.max_batch_size, QUEUED),
            ("spin", self.spin, QUEUED),
        )
        for flag, value, scenarios in means:
            if value is not None and self._meant not in scenarios:
                allowed = f"given only with --scenario {', '.join(map(spelled, scenarios))}"
                hint = f"here it is {spelled(self._meant)}"
                yield Fault(f"--{flag}", flag, value, allowed, hint=hint)

    def _minimums_of_mlperf(self) -> Iterator[Fault]:
        if self._meant not in MLPERF:
            return
        for flag, value, instead in (
            ("min_duration", self.stop.min_duration_s, "--duration"),
            ("min_queries", self.stop.min_queries, "--iterations"),
        ):
            if value is not None:
                allowed = f"left out: {spelled(self._meant)} has its own, which {instead} states"
                yield Fault(f"--{flag}", flag, value, allowed)

    def _delay_alone(self) -> Iterator[Fault]:
        if self.max_delay_us is not None and self.max_batch_size is None:
            allowed = "given only with --max_batch_size"
            yield Fault("--max_delay", "max_delay", self.max_delay_us, allowed)

    def _other_arrivals(self) -> Iterator[Fault]:
        of = {
            POISSON: (POISSON_ARRIVALS,),
            CONSTANT_RATE: (EVEN_ARRIVALS,),
            GAMMA: (GAMMA_ARRIVALS,),
            STAGES: (POISSON_ARRIVALS, EVEN_ARRIVALS),
        }
        wanted = of.get(self._meant)
        if self.arrivals is not None and wanted is not None and self.arrivals not in wanted:
            allowed = f"{' or '.join(wanted)}, as --scenario is {spelled(self._meant)}"
            yield Fault("--arrivals", "arrivals", self.arrivals, allowed)

    def _of_gamma(self) -> Iterator[Fault]:
        """How bursty is stated with gamma arrivals, and with none else."""
        gamma = self._meant == GAMMA or self.arrivals == GAMMA_ARRIVALS
        if gamma and self._meant in (GAMMA, SESSIONS) and self.burstiness is None:
            allowed = "given with --arrivals gamma: 1 is Poisson, 0.5 burstier, 2 more even"
            yield Fault("--burstiness", "burstiness", MISSING, allowed)
        if self._meant == SESSIONS and self.burstiness is not None and not gamma:
            allowed = "given only with --arrivals gamma"
            yield Fault("--burstiness", "burstiness", self.burstiness, allowed)

    def _of_sessions(self) -> Iterator[Fault]:
        """Conversations are those of users, or arrive."""
        if self._meant != SESSIONS:
            return
        users, per_s = self.users, self.sessions_per_s
        if users is None and per_s is None:
            allowed = "given, or --sessions_per_s, as --scenario is sessions"
            yield Fault("--users", "users", MISSING, allowed)
        if users is not None and per_s is not None:
            allowed = "left out with --users, who begin a conversation when the last has ended"
            yield Fault("--sessions_per_s", "sessions_per_s", per_s, allowed)
        if users is not None and self.arrivals is not None:
            allowed = "left out with --users, whose conversations do not arrive"
            yield Fault("--arrivals", "arrivals", self.arrivals, allowed)
