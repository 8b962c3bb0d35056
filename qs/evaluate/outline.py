"""What a run or a load test would do, with the origin of every value, and about how long it takes;
nothing is loaded or run.

The backend is not asked for its QS config, since that takes its process; a note says what it may
still change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from qs.artifact.batch import refusal
from qs.base.visible import unbroken
from qs.base.words import counted, percent, span
from qs.evaluate.over_nodes import split_in_words
from qs.evaluate.plan import plan_line
from qs.evaluate.prepare import Prepared
from qs.evaluate.served import how_asked, likely_config
from qs.evaluate.settling import settled
from qs.result.last import last_time
from qs.result.row import CLOSED_LOOP
from qs.result.story import shapes_in_words
from qs.settings.case import cases_of
from qs.tensors.generated import input_specs

NOT_ASKED = (
    "the backend was not asked: its QS config may change what neither the command line nor the "
    "artifact states"
)


SERVER_NOT_ASKED = "the server was asked what it serves, and nothing else was sent"


@dataclass(frozen=True)
class OutlinedCase:
    """One case that would be measured."""

    name: str
    batch_size: int
    scenario: str
    # None: as many requests at a time as fall due
    clients: int | None
    iterations: int | None
    # None: until its end; at most, if `until_known` ends it
    seconds: float | None
    warm_up_seconds: float
    shapes: Mapping[str, Sequence[int]]
    # why it cannot be run; None: it can
    refused: str | None = None
    # until the throughput is known to this share
    until_known: float | None = None

    def __str__(self) -> str:
        what = [f"{self.name}: {self.scenario}", f"batch size {self.batch_size}"]
        if self.clients is not None:
            what.append(counted(self.clients, "client"))
        if self.iterations:
            what.append(counted(self.iterations, "iteration"))
        lasts = f"for {span(self.seconds)}" if self.seconds else "until its end"
        if self.until_known is not None and self.seconds:
            to = percent(self.until_known)
            lasts = f"until its throughput is known to {to}, for {span(self.seconds)} at most"
        what.append(lasts)
        fed = "; a call is fed " + shapes_in_words(self.shapes)
        return ", ".join(what) + (fed if self.refused is None else f": {self.refused}")


@dataclass(frozen=True)
class Outline:
    """What `--dry_run` says."""

    artifact: str
    hardware: str
    report: str
    # As the artifact describes them.
    inputs: Sequence[Mapping[str, Any]]
    states: Mapping[str, str]
    # Each setting with its origin, as in a report.
    values: Mapping[str, Mapping[str, Any]]
    cases: Sequence[OutlinedCase]
    # Of all cases; None if one has no end in time.
    seconds: float | None
    notes: Sequence[str]
    # See qs.artifact.batch.
    batch: Mapping[str, Any] = field(default_factory=dict)
    # The whole of it in one line.
    plan: str | None = None
    # Of a served model: what would be sent, where and how, in lines.
    server: Sequence[str] = ()
    # Over nodes: how each case would be split, in lines.
    nodes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """For people: inputs, every value with its origin, every case, and how long it takes."""
        said = [f"{self.artifact} on {self.hardware}; nothing is run", "inputs, at batch size 1:"]
        for each in self.inputs:
            state = self.states.get(each["name"])
            more = f", fed back from {state}" if state else ""
            more += f", {each['fed']}" if each.get("fed") else ""
            said.append(f"  {each['name']} {each['type']} {list(each['shape'])}{more}")
        if self.batch:
            said.append(f"batch: {self.batch.get('words', 'not known')}")
        if self.server:
            said += ["server:", *(f"  {line}" for line in self.server)]
        said.append("values:")
        width = max(map(len, self.values))
        for name, value in self.values.items():
            if value["value"] is not None:
                said.append(f"  {name:<{width}}  {value['value']}  ({value['origin']})")
        said += ["cases:", *(f"  {case}" for case in self.cases)]
        if self.nodes:
            said += ["nodes:", *(f"  {line}" for line in self.nodes)]
        lasts = f"about {span(self.seconds)}" if self.seconds else "as long as its iterations do"
        if self.seconds and any(case.until_known for case in self.cases):
            lasts = f"{span(self.seconds)} at most"
        said += [self.plan or f"takes {lasts}, and loading", f"report: {self.report}"]
        said += [f"note: {text}" for text in self.notes]
        return list(map(unbroken, said))


def _fed(described: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """An input with what it is fed, where that was stated."""
    fed = None
    if described["name"] in given.get("files", {}):
        fed = "fed your own items"
    elif described.get("range"):
        low, high = described["range"]
        fed = f"fed {low:g}" if low == high else f"fed values from {low:g} to below {high:g}"
    return {**described, "fed": fed}


def outline(prepared: Prepared) -> Outline:
    """Raises UserError if the cases cannot be run."""
    served = (prepared.described or {}).get("served")
    config = None if served is None else likely_config(served)
    asked = prepared.request.nodes
    known = asked.nodes if asked is not None and isinstance(asked.nodes, int) else None
    settings = settled(prepared, config, None, known)
    specs = input_specs(prepared.model_info.to_configs())
    described = prepared.described or {}
    warm_up_s = settings.warmup.value.seconds or 0.0
    cases = [
        OutlinedCase(
            name=case.name,
            batch_size=case.batch_size,
            scenario=case.scenario_name or CLOSED_LOOP,
            clients=None if case.unbounded else case.clients,
            iterations=case.iterations,
            seconds=case.duration_s or case.time_limit_s,
            warm_up_seconds=warm_up_s,
            shapes={spec.name: list(spec.batch_shape(case.batch_size)) for spec in specs},
            refused=refusal(described.get("batch"), case.batch_size * (case.shared_by or 1)),
            until_known=case.until_known,
        )
        for case in cases_of(settings)
    ]
    run = [each for each in cases if each.refused is None]
    lasting = [each.seconds for each in run if each.seconds is not None]
    whole = len(lasting) == len(run)
    return Outline(
        artifact=str(prepared.request.file or prepared.title),
        hardware=prepared.hardware,
        report=str(prepared.out),
        inputs=[_fed(each, prepared.given_data or {}) for each in described.get("inputs", [])]
        or [{"name": each.name, "type": each.type, "shape": each.batch_shape(1)} for each in specs],
        states=described.get("states", {}),
        values=settings.report(),
        cases=cases,
        seconds=sum(lasting) + warm_up_s * len(run) if whole else None,
        notes=[*prepared.warnings, NOT_ASKED if served is None else SERVER_NOT_ASKED],
        server=()
        if served is None
        else how_asked(served, prepared.request, described.get("prompts")),
        nodes=() if asked is None else split_in_words(settings, asked),
        batch=described.get("batch") or {},
        plan=plan_line(prepared, last_time(prepared.out)) if prepared.request.task else None,
    )
