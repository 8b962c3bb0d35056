"""What a run will do: every setting with where its value came from. The command line wins over the
QS config, the QS config over the workload, the workload over the defaults.

Nothing is loaded or measured here. `settle` makes the settings of a run, `Settings.changed` those
of one trial of a sweep; cases are made from them in qs.settings.case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, Generic, TypedDict, TypeVar

from qs.config.checking import Checkable
from qs.config.qs_config import Batching, QsConfig, Samples, WarmUp
from qs.config.workload import Workload
from qs.limit.goals import Goal
from qs.result.result import Kind
from qs.settings.request import Request
from qs.settings.traffic import ScenarioSettings, StopRules

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
CpuSets = tuple[tuple[int, ...], ...]

TIMEOUT_S = 120.0
SEED = 0
# How long an open loop lasts when nothing says it, and how long a run may take to become stable.
DURATION_S = 10.0
MOST_STABLE_S = 600.0
# A closed loop of which nobody says how much is measured until its throughput is known to this
# share, and at most for so long.
KNOWN_TO, KNOWN_WITHIN_S = 0.05, 10.0
OWN_COPIES = ("process", "async")  # pools whose number of loaded copies follows from the pool


class Origin(str, Enum):
    """Where a value came from; a plain string names a variable or a project's file."""

    COMMAND_LINE = "command line"
    QS_CONFIG = "QS config"
    BACKEND = "backend"
    WORKLOAD = "workload"
    DEFAULT = "default"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Setting(Generic[T_co]):
    """One value and its origin."""

    value: T_co
    origin: str

    @property
    def chosen(self) -> bool:
        """Whether somebody chose it for this run or for this backend: it is neither the workload's
        nor a default.
        """
        return self.origin not in (Origin.WORKLOAD, Origin.BACKEND, Origin.DEFAULT)


class Changes(TypedDict, total=False):
    """Values that a trial replaces, by the names of `Settings`."""

    scenarios: tuple[ScenarioSettings, ...] | None
    clients: int
    iterations: int | None
    pool: str
    instances: int
    affinity: CpuSets | None
    intra_op_threads: int
    drain_s: float | None
    duration_s: float | None
    batch_sizes: tuple[int, ...]
    interval_s: float | None
    calibrate: bool
    max_backlog: int | None
    stop: StopRules


@dataclass(frozen=True)
class Settings:
    """Every setting of the measured part. A value of None is not stated."""

    runner: Setting[str]
    artifact: Setting[str | None]
    # None and (): closed loop
    scenarios: Setting[tuple[ScenarioSettings, ...] | None]
    batching: Setting[Batching | None]
    clients: Setting[int]
    iterations: Setting[int | None]
    pool: Setting[str]
    instances: Setting[int]
    # of pool async: event loops, each in a process of its own; None: one
    workers: Setting[int | None]
    warmup: Setting[WarmUp]
    timeout_s: Setting[float]
    affinity: Setting[CpuSets | None]
    intra_op_threads: Setting[int | None]
    samples: Setting[Samples | None]
    numeric_items: Setting[int]
    seed: Setting[int]
    stop: Setting[StopRules]
    think_time_s: Setting[float | None]
    # None: as long as one request may take
    drain_s: Setting[float | None]
    max_backlog: Setting[int | None]
    spin: Setting[str]
    verify: Setting[str | None]
    duration_s: Setting[float | None]
    time_limit_s: Setting[float | None]
    batch_sizes: Setting[tuple[int, ...]]
    # How far the throughput of a closed loop is to be known, as a share, where nothing says how
    # much is measured.
    until_known: Setting[float | None] = Setting(None, Origin.DEFAULT)
    # What must hold of the requests; None: nothing is bounded.
    goals: Setting[tuple[Goal, ...] | None] = Setting(None, Origin.DEFAULT)
    # A trial's own, which a search for a limit sets: the length of the time series' intervals, and
    # whether the engine measures its own cost first.
    interval_s: Setting[float | None] = Setting(None, Origin.DEFAULT)
    calibrate: Setting[bool] = Setting(True, Origin.DEFAULT)
    # Machines that share the numbers above, which are totals; CPUs and threads are each one's own.
    nodes: Setting[int] = Setting(1, Origin.DEFAULT)

    def changed(self, changes: Changes, origin: str, cpus: Sequence[int]) -> Settings:
        """With some values replaced, and with what follows from those and is not among the changes:
        a duration in place of a count, a copy for each process, shares of the CPUs for the copies.
        """
        stated: dict[str, Any] = {name: Setting(value, origin) for name, value in changes.items()}
        found = replace(self, **stated)
        if "duration_s" in changes and "iterations" not in changes:
            found = replace(found, iterations=Setting(None, origin))
        pool = found.pool.value
        if pool in OWN_COPIES:
            loops = found.workers.value or found.nodes.value
            copies = found.clients.value if pool == "process" else loops
            found = replace(found, instances=Setting(copies, origin))
        copies_changed = "instances" in changes or (
            pool == "process" and {"pool", "clients"} & changes.keys()
        )
        if pool == "async" or not copies_changed:
            return found
        affinity, threads = share_out(copies_of(found), cpus)
        if "affinity" not in changes:
            found = replace(found, affinity=affinity)
        if "intra_op_threads" not in changes:
            found = replace(found, intra_op_threads=threads)
        return found

    @property
    def plain_samples(self) -> dict[str, Any] | None:
        """As the backend's process takes it."""
        return None if self.samples.value is None else self.samples.value.stated()

    def report(self) -> dict[str, dict[str, Any]]:
        """Plain data for a report: name -> {"value", "origin"}."""
        return {
            name: {"value": _plain(setting.value), "origin": str(setting.origin)}
            for name, setting in vars(self).items()
            if name not in _OF_TRIALS
        }

    def qs_config(self) -> dict[str, Any]:
        """The QS config that holds in the end, as a vendor's own runner gets it."""
        found = {
            name: _plain(getattr(self, name).value)
            for name in QsConfig.model_fields
            if name not in _NOT_FOR_RUNNERS
        }
        return {"qs_version": 2} | {
            name: value for name, value in found.items() if value is not None
        }


_OF_TRIALS = ("interval_s", "calibrate", "nodes")
_NOT_FOR_RUNNERS = ("qs_version", "verify")


def settle(
    request: Request,
    workload: Workload,
    qs_config: QsConfig | None,
    best_batch_sizes: Sequence[int] | None,
    cpus: Sequence[int],
) -> Settings:
    """The settings of a run. Raises Faults for options that do not go together.

    qs_config         what the backend's generate_qs_config returned; None: it was not asked
    best_batch_sizes  those of the backend's analysis
    cpus              the CPUs that this process may use; they are shared out when the number of
                      instances is the user's own
    """
    line, traffic, config = request, request.traffic, qs_config or QsConfig()
    traffic.check()
    # A load test is of no task, or of its model alone: nobody stated a count that could be meant.
    of_task = request.artifact is None and request.kind is not Kind.LOAD
    given = workload.given if of_task else frozenset[str]()
    settings = Settings(
        runner=_first("backend", config=config.runner),
        # The artifact on the command line is what is compiled; this one is what the runner loads.
        artifact=_first(None, config=config.artifact),
        scenarios=_first(None, line=traffic.scenarios(), config=_scenarios(config)),
        batching=_first(None, line=traffic.batching(), config=config.batching),
        clients=_first(
            workload.clients,
            line=line.clients,
            config=config.clients,
            workload=workload.clients if "clients" in given else None,
        ),
        iterations=_first(
            None,
            line=line.iterations,
            config=config.iterations,
            workload=workload.iterations if "iterations" in given else None,
        ),
        pool=_first("thread", line=line.pool, config=config.pool),
        instances=_first(1, line=line.instances, config=config.instances),
        workers=_first(None, line=line.workers),
        warmup=_first(WarmUp(iterations=1, seconds=0.5), line=line.warmup, config=config.warmup),
        timeout_s=_first(TIMEOUT_S, line=line.predict_timeout, config=config.timeout_s),
        affinity=_first(None, line=line.affinity, config=config.affinity),
        intra_op_threads=_first(None, line=line.intra_op_threads, config=config.intra_op_threads),
        samples=_first(
            None,
            line=Samples(count=line.sample_count) if line.sample_count else None,
            config=config.samples,
        ),
        numeric_items=_first(16, line=line.numeric_items),
        seed=_first(SEED, line=line.seed),
        stop=_first(StopRules(), line=traffic.stop if traffic.stop.stated() else None),
        think_time_s=_first(None, line=traffic.think_time_s),
        drain_s=_first(None, line=traffic.drain_s),
        max_backlog=_first(None, line=traffic.max_backlog),
        spin=_first("auto", line=traffic.spin),
        calibrate=_first(True, line=False if line.no_calibrate else None),
        goals=_first(None, line=line.goals or None),
        verify=_first(None, line=line.verify, config=config.verify),
        duration_s=_first(
            None, line=line.duration, workload=workload.duration if of_task else None
        ),
        time_limit_s=_first(None, line=line.time_limit),
        batch_sizes=_first(
            workload.batch_sizes,
            line=line.batch_sizes,
            config=config.batch_sizes,
            backend=tuple(best_batch_sizes or ()) or None,
            workload=workload.batch_sizes if "batch_sizes" in given else None,
        ),
    )
    settings = _with_copies(_with_end(settings))
    own = line.instances is not None and line.instances != config.instances
    if own and settings.pool.value not in OWN_COPIES:
        settings = _with_shares(settings, cpus)
    return _with_given_origins(settings, request.origins)


def copies_of(settings: Settings) -> int:
    """Loaded copies on one machine, at most."""
    return -(-settings.instances.value // settings.nodes.value)


def share_out(
    instances: int, cpus: Sequence[int]
) -> tuple[Setting[CpuSets | None], Setting[int | None]]:
    """CPU sets and intra-op threads for a number of instances that the backend did not choose:
    equal shares, or no pinning when there are too few CPUs.
    """
    each = len(cpus) // instances
    if not each:
        return Setting(None, Origin.DEFAULT), Setting(1, Origin.DEFAULT)
    shares = tuple(tuple(cpus[at * each : (at + 1) * each]) for at in range(instances))
    return Setting(shares, Origin.DEFAULT), Setting(each, Origin.DEFAULT)


def _first(
    default: T,
    *,
    line: T | None = None,
    config: T | None = None,
    backend: T | None = None,
    workload: T | None = None,
) -> Setting[T]:
    """The value of the first source that states one, else the default."""
    offers = (
        (line, Origin.COMMAND_LINE),
        (config, Origin.QS_CONFIG),
        (backend, Origin.BACKEND),
        (workload, Origin.WORKLOAD),
    )
    for value, origin in offers:
        if value is not None:
            return Setting(value, origin)
    return Setting(default, Origin.DEFAULT)


def _scenarios(config: QsConfig) -> tuple[ScenarioSettings, ...] | None:
    if config.scenarios is None:
        return None
    return tuple(map(ScenarioSettings.of_config, config.scenarios))


def _with_end(settings: Settings) -> Settings:
    """Iterations, duration and limit as they follow from each other: a run that ends by what it
    measured needs no count, a chosen count replaces the workload's duration, and where nothing
    says how much, a closed loop goes on until its throughput is known, and an open loop for the
    default duration.
    """
    counted, duration = settings.iterations, settings.duration_s
    limit, stop, known = settings.time_limit_s, settings.stop.value, settings.until_known
    if duration.origin == Origin.WORKLOAD and (counted.chosen or stop.end_a_run):
        duration = Setting(None, counted.origin if counted.chosen else Origin.COMMAND_LINE)
    if (duration.value or stop.end_a_run) and counted.origin != Origin.COMMAND_LINE:
        counted = Setting(None, duration.origin if duration.value else Origin.COMMAND_LINE)
    endless = not (duration.value or limit.value or counted.value)
    if stop.until_stable is not None and endless:
        limit = Setting(MOST_STABLE_S, Origin.DEFAULT)
    if not (counted.value or duration.value or stop.end_a_run):
        if settings.scenarios.value:
            duration = Setting(DURATION_S, Origin.DEFAULT)
        else:
            known = Setting(KNOWN_TO, Origin.DEFAULT)
            limit = limit if limit.value else Setting(KNOWN_WITHIN_S, Origin.DEFAULT)
    return replace(
        settings, iterations=counted, duration_s=duration, time_limit_s=limit, until_known=known
    )


def _with_copies(settings: Settings) -> Settings:
    """Runner, pool and instances as they follow from other values. Coroutines run on an event loop;
    a process has a copy of its own, and an event loop has one for all its clients; CPU sets are for
    a copy each, and a vendor's own runner is made once per worker.
    """
    runner, pool, clients = settings.runner, settings.pool, settings.clients
    if runner.value == "async" and pool.origin == Origin.DEFAULT:
        pool = Setting("async", runner.origin)
    elif runner.value == "async" != pool.value and pool.origin == Origin.COMMAND_LINE:
        runner = Setting("backend", pool.origin)  # whether its predict blocks is seen by its kind
    elif pool.value == "async" and runner.origin == Origin.DEFAULT:
        runner = Setting("async", pool.origin)
    instances = settings.instances
    if pool.value in OWN_COPIES:
        copies = clients.value if pool.value == "process" else settings.workers.value or 1
        instances = Setting(copies, pool.origin)
    elif instances.origin == Origin.DEFAULT:
        if settings.affinity.value:
            instances = Setting(len(settings.affinity.value), settings.affinity.origin)
        elif ":" in runner.value:
            instances = clients
    return replace(settings, runner=runner, pool=pool, instances=instances)


def _with_shares(settings: Settings, cpus: Sequence[int]) -> Settings:
    """Shares of the CPUs for the instances that the command line states, unless it states the CPUs
    or the threads too.
    """
    affinity, threads = share_out(settings.instances.value, cpus)
    if settings.affinity.origin != Origin.COMMAND_LINE:
        settings = replace(settings, affinity=affinity)
    if settings.intra_op_threads.origin != Origin.COMMAND_LINE:
        settings = replace(settings, intra_op_threads=threads)
    return settings


# Options that have another name than their setting.
_OPTIONS = {
    "duration_s": "duration",
    "time_limit_s": "time_limit",
    "timeout_s": "predict_timeout",
    "goals": "slo",
}


def _with_given_origins(settings: Settings, origins: Mapping[str, str]) -> Settings:
    """The variable or file, in place of the command line, for options that were not typed."""
    found = {}
    for each in fields(settings):
        setting, option = getattr(settings, each.name), _OPTIONS.get(each.name, each.name)
        if setting.origin == Origin.COMMAND_LINE and option in origins:
            found[each.name] = replace(setting, origin=origins[option])
    return replace(settings, **found)


def _plain(value: Any) -> Any:
    """A setting's value as JSON has it, under the published names."""
    if isinstance(value, Checkable):
        return value.stated()
    if isinstance(value, StopRules):
        return value.stated() or None
    if isinstance(value, ScenarioSettings):
        return value.published()
    if isinstance(value, Goal):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
