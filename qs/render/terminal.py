"""A result on the terminal: the verdict last, where it is still in sight. A saved result prints the
same as a fresh one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from qs.base.console import console, open_table
from qs.base.words import NOTHING, completed, number, percent, signed_percent, span
from qs.render.sweep import limit_table, sweep_lines, sweep_table
from qs.result.columns import columns
from qs.result.gate import GateEntry
from qs.result.result import GraphCompile, Kind, Status
from qs.result.row import Row
from qs.result.story import VERIFIED, Answers, Story

if TYPE_CHECKING:
    from rich.table import Table

# Of a closed loop and of an open one. A terminal too narrow for all columns does without some; the
# result has them.
CLOSED = columns(
    "batch_size",
    "clients",
    "items_per_s",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "p99_9_ms",
    "max_ms",
)
OPEN = columns(
    "batch_size",
    "clients",
    "offered_per_s",
    "queries_per_s",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "p99_9_ms",
    "max_ms",
)
WIDE = 130
DISPENSABLE = {"clients", "mean_ms", "p90_ms", "p99_9_ms"}
DISPENSABLE_IN_OPEN = DISPENSABLE | {"p50_ms", "max_ms"}
# What their columns are called there.
HEADINGS = {"queries_per_s": "served/s", "clients": "workers"}
LOG_WIDTH = 160
# Facts on what a call was.
FED = ("batch", "a call is fed")
SHOWN_OF_AGREEMENT = ("Max Diff", "Mean Diff", "Cosine Similarity")


def print_story(
    story: Story, where: str | None, stream: TextIO, told: Collection[str] = ()
) -> None:
    """The table, what was checked, the verdict, and where the report lies. `told` are warnings that
    its reader has seen already.
    """
    out = console(stream, LOG_WIDTH)
    sweep = story.result.sweep
    if sweep:
        out.print(sweep_table(sweep))
        for line in sweep_lines(sweep):
            out.print(line, markup=False, soft_wrap=True)
        if sweep.limit:
            out.print(limit_table(sweep.limit))
    elif story.cases:
        out.print(table(story, out.width >= WIDE))
    for line in lines(story, told):
        # Nobody's text begins a line of ours, such as the verdict.
        out.print(line.replace("\n", "\n    "), markup=False, soft_wrap=True)
    if where:
        out.print(f"report: {where}", markup=False, soft_wrap=True)


def table(story: Story, wide: bool = True) -> Table:
    """A line for each case; it fits 80 columns unless it is `wide`."""
    from rich.text import Text

    result = story.result
    scheduled = all(case.row.scheduled for case in story.cases)
    left_out = set() if wide else DISPENSABLE_IN_OPEN if scheduled else DISPENSABLE
    shown = [each for each in (OPEN if scheduled else CLOSED) if each.name not in left_out]
    # The schedule sets the throughput of an open loop: what is to be known there is the p99.
    known = "p99_ms" if scheduled else "items_per_s"
    made = open_table(f"{result.model.lower()} on {result.backend}")
    for column in shown:
        heading = HEADINGS.get(column.name, column.heading) if scheduled else column.heading
        made.add_column(heading, justify="right", no_wrap=True)
        if column.name == known:
            made.add_column("±", justify="right", no_wrap=True)
    for heading in ("measured", *(["completed"] if wide else []), "errors", "verdict"):
        made.add_column(heading, justify="right", no_wrap=True)
    for case in story.cases:
        row, cells = case.row, []
        for column in shown:
            cells.append(column.text(row))
            if column.name == known:
                cells.append(known_to(row.p99_interval if scheduled else row.throughput_interval))
        cells.append(NOTHING if row.measured_s is None else span(row.measured_s))
        if wide:
            cells.append(completed(row.planned, row.completed))
        cells.append(number(row.errors))
        cells.append("too short" if row.valid and row.too_short else row.verdict)
        made.add_row(*map(Text, cells))
    return made


def known_to(share: float | None) -> str:
    """Half the width of a 95 % interval, as a share."""
    return NOTHING if share is None else percent(share)


def lines(story: Story, told: Collection[str] = ()) -> list[str]:
    """Everything below the table, one fact a line."""
    result = story.result
    said = []
    if result.graph_compile:
        said.append(compilation(result.graph_compile))
    if result.kind == Kind.LOAD:
        said += [first_inference(row) for row in result.performance if row.first_inference_ms]
    environment = result.environment
    if environment and environment.get("Key"):
        said.append(f"environment: {environment['Key']}, the backend's own")
    said += [f"{name}: {text}" for name, text in story.facts if name in FED]
    if result.samples:
        said.append(f"samples: {samples(result.samples)}")
    note = (result.model_source or {}).get("note")
    if note:
        said.append(f"model: {note}")
    said += answers(story.answers)
    said += [f"{name}: {text}" for name, text in story.facts if name == VERIFIED]
    said += [audited(row) for row in result.performance if row.vendor]
    # A sweep's settings each have doubts of their own, which the page shows.
    doubts = [each for each in story.doubts if not (result.sweep and each.cases)]
    said += [f"warning: {doubt}" for doubt in doubts if doubt.cases or doubt.text not in told]
    if story.machine:
        said.append(f"machine: {story.machine}")
    ended = "" if result.status == Status.COMPLETE else f" ({result.status})"
    said.append(f"verdict: {story.standing}{ended}")
    said += [f"  {reason}" for reason in story.reasons]
    return said + list(gates(result.gates))


def gates(entries: Sequence[GateEntry]) -> Iterator[str]:
    """What became of the conditions of --fail_if, and what would tell where one cannot."""
    for entry in entries:
        yield f"fail_if: {entry.sentence}"
    for command in dict.fromkeys(entry.decide for entry in entries if entry.decide):
        yield f"  to decide: {command}"


def samples(section: Mapping[str, Any]) -> str:
    """What the backend was fed."""
    kind, items = section.get("kind"), number(section.get("items"))
    why = f"; {section['why']}" if section.get("why") else ""
    if kind == "generated":
        return f"generated, seed {section.get('seed')}{why}"
    if kind == "given":
        return f"your own {items}{why}"
    return f"the {items} items of the data set {section.get('name')}"


def compilation(section: GraphCompile) -> str:
    """How the model was compiled. What the backend does not state is left out."""
    if section.compiled_from:
        how = f"compiled before ({section.compiled_from})"
    elif section.compile_s is not None:
        how = f"compiled in {span(section.compile_s)}"
    else:
        how = "compiled"
    to = f" to {section.precision}" if section.precision else ""
    facts = [section.status or "no status"]
    if section.coverage_percent is not None:
        facts.append(f"{number(section.coverage_percent)} % of subgraphs on the device")
    return f"{how}{to}: {', '.join(facts)}"


def first_inference(row: Row) -> str:
    """What the first call costs beside the later ones: it is in no percentile."""
    loaded = "" if row.load_s is None else f"loaded in {span(row.load_s)}, "
    return f"BS {row.batch_size}: {loaded}first inference {number(row.first_inference_ms)} ms"


def audited(row: Row) -> str:
    """The backend's own numbers of an audited row, and how far they are from ours."""
    said = f"audit: BS {row.batch_size}: the backend"
    if row.vendor is None or row.vendor.not_measured is not None:
        return f"{said} gave no numbers of its own"
    theirs = row.vendor.numbers()
    shown = [
        f"{name} {number(theirs[name])} ({signed_percent(percent / 100)})"
        for name, percent in (row.difference_percent or {}).items()
        if percent is not None and name in theirs
    ]
    return f"{said}'s own {', '.join(shown) or 'numbers cannot be compared'}"


def answers(found: Answers) -> list[str]:
    """A line on the metrics, and one on the agreement with the reference."""
    said = []
    if found.not_measured:
        said.append(f"accuracy not measured: {found.not_measured}")
    elif found.metrics:
        scores = []
        for each in found.metrics:
            ends = each.interval and ", ".join(number(end, 4) for end in each.interval)
            scores.append(f"{each.name} {number(each.value, 4)}" + (f" [{ends}]" if ends else ""))
        where = f" ({found.scored_on}; 95 % intervals in brackets)" if found.scored_on else ""
        said.append(f"accuracy: {', '.join(scores)}{where}")
    if found.not_compared:
        said.append(f"numeric agreement not measured: {found.not_compared}")
    elif found.outputs:
        by_name = {each.name: each.value for each in found.agreement}
        figures = (f"{name} {number(by_name.get(name), 4)}" for name in SHOWN_OF_AGREEMENT)
        said.append(f"numeric agreement with the reference: {', '.join(figures)}")
    return said
