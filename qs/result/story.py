"""What a result says, as plain data: what came out, of which cases, how far it can be trusted, how
to do it again.

Every view for people (terminal, page, Markdown, PDF, JUnit) draws this and nothing else, so that
all of them tell the same. Words are made here once; layout, colours and escaping are the views'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from qs.base.visible import typed_word, unbroken
from qs.base.words import data_size, moment, number
from qs.result.beside import place_of
from qs.result.cases import NamedCase, named, shared_by
from qs.result.headline import performance
from qs.result.machine import machine_doubts, machine_words
from qs.result.nodes_words import nodes_facts
from qs.result.power import power_facts
from qs.result.remarks import Remark, doubts_of, reasons_of
from qs.result.result import Accuracy, Result
from qs.result.row import Row
from qs.result.server_words import server_facts
from qs.result.tokens_words import token_facts
from qs.result.verdict import Tone, standing, tone
from qs.result.verified import verified

# What the comparison with the reference adds to the metrics of the data set.
AGREEMENT = (
    "Mean Diff",
    "Std Diff",
    "Max Diff",
    "Max Rel-Diff",
    "Mean Rel-Diff",
    "Cosine Similarity",
    "Max ULP",
    "Top-1 Agreement",
    "NaN Count",
    "Inf Count",
)
# Numbers of the section that say how it was measured.
_NO_METRIC = ("Data Percent", "Items")
VERIFIED = "verified"  # the fact on answers under load
_SHAPES = 4  # as many are shown
_LOGS = 50
_KINDS = {"run": "Run", "load": "Load test", "sweep": "Sweep", "numeric": "Numeric comparison"}
_STARTED_BY = ("__main__.py", "qs", "launch.py")


@dataclass(frozen=True)
class Score:
    """A figure of the accuracy or of the agreement, with its 95 % interval if it has one."""

    name: str
    value: int | float
    interval: tuple[float, float] | None = None

    def words(self, digits: int) -> tuple[str, str, str]:
        """Its name, its value and its interval."""
        ends = self.interval and [number(end, digits) for end in self.interval]
        return self.name, number(self.value, digits), " .. ".join(ends) if ends else ""


@dataclass(frozen=True)
class Output:
    """How one output agrees with the reference's."""

    name: str
    max_diff: float | None
    mean_diff: float | None
    cosine: float | None
    nan_count: int | None
    inf_count: int | None
    fault: str


@dataclass(frozen=True)
class Answers:
    """Whether the answers are right. `not_measured` and `not_compared` give the reason."""

    metrics: tuple[Score, ...] = ()
    agreement: tuple[Score, ...] = ()
    outputs: tuple[Output, ...] = ()
    not_measured: str = ""
    not_compared: str = ""
    scored_on: str = ""  # on which items the metrics were computed
    expected: Mapping[str, float] = field(default_factory=dict)  # what is known of the model
    picture: Path | None = None  # how the differences are distributed

    def __bool__(self) -> bool:
        return self != Answers()


@dataclass(frozen=True)
class Story:
    """A result, told."""

    result: Result
    folder: Path | None  # where its own files lie
    title: str
    headline: str
    reasons: tuple[Remark, ...]
    facts: tuple[tuple[str, str], ...]
    cases: tuple[NamedCase, ...]
    shared: str  # what all cases have in common
    answers: Answers
    doubts: tuple[Remark, ...]
    machine: str  # what was found out about the machine before the run
    machine_doubts: tuple[str, ...]
    command: str
    files: tuple[str, ...]

    @property
    def standing(self) -> str:
        """The verdict in words, with how far to trust it: "VALID, 3 doubts"."""
        short = any(row.too_short for row in self.result.performance)
        return standing(self.result.verdict, self.doubts, short)

    @property
    def tone(self) -> Tone:
        """The colour that goes with it."""
        return tone(self.result.verdict, self.doubts)

    @property
    def own_reasons(self) -> Sequence[str]:
        """Why the run is INVALID, apart from its cases."""
        return [reason.text for reason in self.reasons if not reason.cases]

    @property
    def measured(self) -> Sequence[NamedCase]:
        """The cases that have numbers."""
        return [case for case in self.cases if case.row.items_per_s]


def story_of(result: Result, folder: Path | None = None) -> Story:
    """Tell a result. Files that are missing in `folder` are left out."""
    cases = named(result.performance)
    answers = _answers(result.accuracy, folder) if result.accuracy else Answers()
    return Story(
        result=result,
        folder=folder,
        title=f"{_KINDS[result.kind]} of {result.task} on {result.backend}",
        headline=_headline(result, answers),
        reasons=reasons_of(result, cases),
        facts=tuple((name, unbroken(text)) for name, text in _facts(result, cases)),
        cases=cases,
        shared=shared_by(result.performance),
        answers=answers,
        doubts=doubts_of(result, cases),
        machine=machine_words(result),
        machine_doubts=tuple(machine_doubts(result)),
        command=_command(result.command),
        files=tuple(_files(result, folder)),
    )


def _headline(result: Result, answers: Answers) -> str:
    """What came out, in a sentence or two."""
    answer = result.sweep.answer if result.sweep else ""
    said = [answer] if answer else [*performance(result)]
    if answers.not_measured:
        said.append("accuracy not measured")
    elif answers.metrics:
        said.append(", ".join(f"{each.name} {number(each.value)}" for each in answers.metrics))
    if result.sweep and result.sweep.limit and not answer:
        said.append(result.sweep.limit.sentence)
    return "; ".join(said) + "."


def fed(rows: Sequence[Row]) -> str:
    """What one call was fed at each batch size: BS 8: image [8, 3, 32, 32]."""
    by_size: dict[int | None, str] = {}
    for row in rows:
        if row.samples and row.samples.shapes:
            by_size.setdefault(row.batch_size, shapes_in_words(row.samples.shapes))
    said = [f"BS {size}: {shapes}" for size, shapes in by_size.items()]
    left = f"; and {len(said) - _SHAPES} more batch sizes" if len(said) > _SHAPES else ""
    return "; ".join(said[:_SHAPES]) + left


def shapes_in_words(shapes: Mapping[str, Sequence[int]]) -> str:
    """image [8, 3, 32, 32]; inputs of one shape together."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, shape in shapes.items():
        groups.setdefault(tuple(shape), []).append(name)
    said = []
    for shape, names in groups.items():
        more = f" and {len(names) - 2} more" if len(names) > 3 else ""
        said.append(f"{', '.join(names[: 2 if more else 3])}{more} {list(shape)}")
    left = f", and {len(said) - _SHAPES} more shapes" if len(said) > _SHAPES else ""
    return ", ".join(said[:_SHAPES]) + left


def _facts(result: Result, cases: Sequence[NamedCase]) -> Iterable[tuple[str, str]]:
    """What was run, on what."""
    host, samples = result.host, result.samples or {}
    note = (result.model_source or {}).get("note")
    runtime = result.runtime_version or result.version or "no version"
    yield "task", result.task
    yield "model", result.model.lower() + (f": {note}" if note else "")
    yield "backend", f"{result.backend}, {runtime}"
    processor = str(host.get("CPU") or result.host_info)
    if host:
        processor += f", {len(host.get('Usable CPUs') or [])} of {host.get('Logical CPUs')} CPUs"
    if host.get("Memory Bytes"):
        processor += f", {data_size(host['Memory Bytes'])}"
    yield "processor", processor
    if host:
        yield "system", f"{host.get('System', '')}, {host.get('Python', '')}"
    batch = (result.artifact or {}).get("batch") or {}
    if batch.get("words"):
        yield "batch", str(batch["words"])
    shapes = fed(result.performance)
    if shapes:
        yield "a call is fed", shapes
    if samples:
        yield "data", f"{samples.get('name')}: {samples.get('why') or samples.get('items')}"
    if result.started:
        yield "measured", moment(result.started)
    checked = verified(result.performance)
    if checked:
        yield VERIFIED, checked
    yield from nodes_facts(cases) if result.sweep is None else nodes_facts(cases[:1])
    yield from power_facts(result.performance)
    yield from server_facts(result.served, cases)
    yield from token_facts(cases) if result.sweep is None else ()
    machine = machine_words(result)
    if machine:
        yield "machine", machine


def metrics_of(section: Accuracy) -> list[Score]:
    """The metrics of the data set's checker, under the names it gave them."""
    return [
        Score(name, value, _interval(section, name))
        for name, value in section.numbers().items()
        if name not in AGREEMENT and name not in _NO_METRIC
    ]


def _answers(section: Accuracy, folder: Path | None) -> Answers:
    numbers, numeric = section.numbers(), section.numeric or {}
    picture = place_of(folder, section.diff_dist) if folder and section.diff_dist else None
    return Answers(
        metrics=tuple(metrics_of(section)),
        agreement=tuple(Score(name, numbers[name]) for name in AGREEMENT if name in numbers),
        outputs=tuple(
            Output(
                name,
                each.get("Max Diff"),
                each.get("Mean Diff"),
                each.get("Cosine Similarity"),
                each.get("NaN Count"),
                each.get("Inf Count"),
                each.get("failed") or "",
            )
            for name, each in (numeric.get("outputs") or {}).items()
        ),
        not_measured=section.not_measured or "",
        not_compared=numeric.get("Not Measured") or "",
        scored_on=_scored_on(section),
        expected=section.known_metrics,
        picture=picture,
    )


def _interval(section: Accuracy, name: str) -> tuple[float, float] | None:
    bounds = section.confidence_intervals.get(name)
    return (bounds[0], bounds[1]) if bounds and len(bounds) == 2 else None


def _scored_on(section: Accuracy) -> str:
    """450 items, a random share of 10 %, seed 0."""
    if not section.items:
        return ""
    said = [f"{number(section.items)} items"]
    share = section.share or {}
    if share.get("kind", "whole") != "whole":
        said.append(f"a {share['kind']} share of {number(share.get('percent'))} %")
    if share.get("seed") is not None:
        said.append(f"seed {share['seed']}")
    return ", ".join(said)


def _command(words: Sequence[str]) -> str:
    """As it would be typed: whichever entry point started it, it is qs."""
    if not words:
        return ""
    program, *rest = words
    words = ["qs" if Path(program).name in _STARTED_BY else program, *rest]
    return " ".join(map(typed_word, words))


def _files(result: Result, folder: Path | None) -> Iterable[str]:
    """What lies beside the page, by names relative to it, each once."""
    if folder is None:
        return ()
    beside = [
        path.name
        for pattern in ("*.json", "*.jsonl", "backend*.log", "*.png")
        for path in sorted(folder.glob(pattern))
    ]
    named = dict.fromkeys(
        name
        for row in result.performance
        for name in (
            *([row.histogram] if row.histogram else []),
            *row.measure_logs,
            *(node.log for node in row.nodes if node.log),
        )
    )
    logs = [name for name in islice(named, _LOGS) if place_of(folder, name)]
    return dict.fromkeys([*beside, *logs])
