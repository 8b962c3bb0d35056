"""What the user asked for: the options of `qs run`, `qs load`, `qs sweep`, `qs numeric` and
`qs check`, as typed values.

Which of them hold is settled in qs.settings.settings.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qs.base.errors import Fault, Faults
from qs.config.qs_config import WarmUp
from qs.limit.goals import Goal
from qs.result.result import Kind
from qs.settings.nodes_asked import OF_TRAFFIC, NodesAsked, with_traffic
from qs.settings.traffic import Traffic


@dataclass(frozen=True)
class Feeding:
    """What the inputs of an artifact are fed, by input: the options of `qs load`. An input that is
    not named is fed what the artifact says, or generated values.
    """

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    # [low, high) of generated values
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    # files and folders with the user's own items
    data: Mapping[str, Path] = field(default_factory=dict)
    # input -> the output that feeds it; None: as the names say; {}: none
    states: Mapping[str, str] | None = None
    fill: str = "random"
    # (input or "" for all, position, a dimension's name, or None for none): see qs.artifact.batch
    batch_axis: tuple[tuple[str, int | str | None], ...] = ()

    def check(self) -> None:
        """Raises Faults for an input that two flags feed."""
        faults = [
            Fault(f"{other} {name}", "", _typed(value), f"one of {other} and {flag} for {name}")
            for other, flag, given, taken in (
                ("--range", "--data", self.ranges, self.data),
                ("--range", "--state", self.ranges, self.states or {}),
                ("--data", "--state", self.data, self.states or {}),
            )
            for name, value in given.items()
            if name in taken
        ]
        if faults:
            raise Faults(faults)


def _typed(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Request:
    """The options of a command. None (or False) means: not given.

    Either `task` names what is measured, or `artifact` is the model file or compile result.
    """

    task: str
    hardware_type: str
    backend_note: str = ""  # why it is that backend, where none was named
    # of a file or a folder; a str is the address of a served model
    artifact: Path | str | None = None
    kind: Kind = Kind.RUN
    traffic: Traffic = Traffic()
    feeding: Feeding = Feeding()
    # How a served model is asked: what was given of qs.remote.asked.Asked, by its names. A value of
    # a header is `@env:NAME` or `@file:PATH`, never the secret itself.
    remote: Mapping[str, Any] = field(default_factory=dict)
    affinity: tuple[tuple[int, ...], ...] | None = None
    intra_op_threads: int | None = None
    sample_count: int | None = None
    # what must hold of the requests
    goals: tuple[Goal, ...] = ()
    history: bool = True
    # Of its entry in the history.
    tags: tuple[str, ...] = ()
    # Option -> the variable or the project's file that its value came from; typed ones are absent.
    origins: Mapping[str, str] = field(default_factory=dict)
    workspace: Path | None = None
    out: Path = Path("reports")
    keep: int | None = None  # earlier runs beside the report; None: all
    clients: int | None = None
    iterations: int | None = None
    duration: float | None = None
    batch_sizes: tuple[int, ...] | None = None
    best_batch_sizes: bool = False  # those that the backend's own analysis finds
    pool: str | None = None
    instances: int | None = None
    workers: int | None = None
    warmup: WarmUp | None = None
    time_limit: float | None = None
    numeric_items: int | None = None
    no_calibrate: bool = False  # what engine and client cost is not measured first
    no_picture: bool = False  # of the comparison with the reference
    verify: str | None = None
    seed: int | None = None
    answers: Path | None = None
    no_input: bool = False
    compile_only: bool = False
    compiled: Path | None = None
    engine: str = "auto"
    compile_timeout: float | None = None
    load_timeout: float | None = None
    predict_timeout: float | None = None
    benchmark_timeout: float | None = None
    in_process: bool = False
    offline: bool = False
    env: str = "auto"
    metrics: str | None = None
    web: int | None = None  # the live page's port; 0: any free one
    trace: bool = False
    # Conditions of --fail_if, as typed (see qs.gates); what cannot be told then passes.
    fail_if: tuple[str, ...] = ()
    allow_unclear: bool = False
    raw: Path | None = None
    # How often, in seconds, the machine is asked for its power; None: the default; 0: never.
    telemetry: float | None = None
    # On which machines it is measured; None: on this one alone.
    nodes: NodesAsked | None = None
    command: tuple[str, ...] = field(default_factory=lambda: tuple(sys.argv))

    @property
    def file(self) -> Path | None:
        """The artifact's file or folder."""
        return self.artifact if isinstance(self.artifact, Path) else None

    @property
    def address(self) -> str | None:
        """The served model's address."""
        return self.artifact if isinstance(self.artifact, str) else None


def with_totals(request: Request, nodes: int) -> Request:
    """The request for so many nodes: each number of --per_node times their count, as if the total
    had been typed.
    """
    asked = request.nodes
    if asked is None or not asked.per_node:
        return request
    totals: dict[str, Any] = {name: each * nodes for name, each in asked.per_node.items()}
    own = {name: value for name, value in totals.items() if name not in OF_TRAFFIC}
    return replace(
        request,
        **own,
        traffic=with_traffic(request.traffic, totals),
        nodes=replace(asked, per_node={}),
    )
