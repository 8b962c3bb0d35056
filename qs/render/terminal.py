"""A result on the terminal: the verdict last, where it is still in sight. A saved result prints the
same as a fresh one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from qs.base.console import console
from qs.base.words import completed, counted, number, signed_percent, span
from qs.result.columns import BY_KEY, columns
from qs.result.result import GraphCompile, Kind, Status
from qs.result.row import Row
from qs.result.story import Answers, Story

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = columns(
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
# What a terminal too narrow for all columns does without; the result has it.
WIDE, DISPENSABLE = 110, {"clients", "p90_ms", "p99_9_ms"}
LOG_WIDTH = 160
# A sweep's settings and figures: key in the sweep's table, heading.
SETTINGS = (
    ("batch_size", "BS"),
    ("clients", "clients"),
    ("instances", "copies"),
    ("intra_op_threads", "threads"),
    ("pool", "pool"),
)
SPREAD = "spread_percent"
FIGURES = ("QPS", SPREAD, "AVG Latency", "P50 Latency", "P90 Latency", "P99 Latency")
SHOWN_OF_AGREEMENT = ("Max Diff", "Mean Diff", "Cosine Similarity")


def print_story(story: Story, where: str | None, stream: TextIO) -> None:
    """The table, what was checked, the verdict, and where the report lies."""
    out = console(stream, LOG_WIDTH)
    sweep = story.result.sweep
    if sweep:
        out.print(sweep_table(sweep))
        for line in sweep_lines(sweep):
            out.print(line, markup=False, soft_wrap=True)
        if sweep.get("limit"):
            from qs.limit.limit import limit_table

            out.print(limit_table(sweep["limit"]))
    elif story.cases:
        out.print(table(story, out.width >= WIDE))
    for line in lines(story):
        out.print(line, markup=False, soft_wrap=True)
    if where:
        out.print(f"report: {where}", markup=False, soft_wrap=True)


def table(story: Story, wide: bool = True) -> Table:
    """A line for each case; it fits 80 columns unless it is `wide`."""
    from rich.text import Text

    result = story.result
    shown = [column for column in COLUMNS if wide or column.name not in DISPENSABLE]
    headings = [*(column.heading for column in shown), "completed", "errors", "verdict"]
    made = _table(headings, f"{result.model.lower()} on {result.backend}")
    for case in story.cases:
        row = case.row
        cells = [column.text(row) for column in shown]
        cells += [completed(row.planned, row.completed), number(row.errors), row.verdict]
        made.add_row(*map(Text, cells))
    return made


def _table(headings: Sequence[str], title: str = "") -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(
        title=Text(title) if title else None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        collapse_padding=True,
        pad_edge=False,
    )
    for heading in headings:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def lines(story: Story) -> list[str]:
    """Everything below the table, one fact a line."""
    result = story.result
    said = []
    if result.graph_compile:
        said.append(compilation(result.graph_compile))
    if result.kind == Kind.LOAD:
        said += [first_inference(row) for row in result.performance if row.first_inference_ms]
    environment = result.environment
    if environment and environment["Key"]:
        said.append(f"environment: {environment['Key']}, the backend's own")
    if result.samples:
        said.append(f"samples: {samples(result.samples)}")
    note = (result.model_source or {}).get("note")
    if note:
        said.append(f"model: {note}")
    said += answers(story.answers)
    said += [audited(row) for row in result.performance if row.vendor]
    # A sweep's settings each have doubts of their own, which the page shows.
    doubts = [each for each in story.doubts if not (result.sweep and each.cases)]
    said += [f"warning: {doubt}" for doubt in doubts]
    if story.machine:
        said.append(f"machine: {story.machine}")
    ended = "" if result.status == Status.COMPLETE else f" ({result.status})"
    said.append(f"verdict: {result.verdict}{ended}")
    return said + [f"  {reason}" for reason in story.reasons]


def samples(section: Mapping[str, Any]) -> str:
    """What the backend was fed."""
    if section["kind"] == "generated":
        return f"generated, seed {section['seed']}; {section['why']}"
    if section["kind"] == "given":
        return f"your own {number(section['items'])}"
    return f"the {number(section['items'])} items of the data set {section['name']}"


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


def sweep_table(sweep: Mapping[str, Any]) -> Table:
    """A line for each setting; * marks the frontier."""
    from rich.text import Text

    settings = [
        (key, heading)
        for key, heading in SETTINGS
        if any(line["setting"][key] is not None for line in sweep["table"])
    ]
    figures = ["+- %" if key == SPREAD else BY_KEY[key].heading for key in FIGURES]
    headings = (heading for _, heading in settings)
    made = _table(["", *headings, *figures, "trials", "errors", "verdict"])
    for line in sweep["table"]:
        cells = ["*" if line["name"] in sweep["pareto"] else ""]
        cells += [number(line["setting"][key]) for key, _ in settings]
        cells += [number(line[key]) for key in FIGURES]
        cells += [number(line["trials"]), number(line["errors"]), line["verdict"]]
        made.add_row(*map(Text, cells))
    return made


def sweep_lines(sweep: Mapping[str, Any]) -> list[str]:
    """How it was measured, and what is recommended, with the commands."""
    said = [
        f"* no other setting has both more throughput and less {sweep['ranked_by']}",
        sweep["method"],
    ]
    for each in sweep["recommendations"]:
        said.append(f"for {each['for']}: {each['why']}")
        if each["command"]:
            said.append(f"  {each['command']}")
    return said


def outline_lines(plan: Mapping[str, Any]) -> list[str]:
    """What `--dry_run` prints: inputs, every value with its origin, every case, and how long it
    takes.
    """
    said = [f"{plan['artifact']} on {plan['hardware']}; nothing is run", "inputs, at batch size 1:"]
    for each in plan["inputs"]:
        state = plan["states"].get(each["name"])
        more = f", fed back from {state}" if state else ""
        said.append(f"  {each['name']} {each['type']} {list(each['shape'])}{more}")
    said.append("values:")
    width = max(map(len, plan["values"]))
    for name, value in plan["values"].items():
        if value["value"] is not None:
            said.append(f"  {name:<{width}}  {value['value']}  ({value['origin']})")
    said.append("cases:")
    for case in plan["cases"]:
        what = [f"{case['name']}: {case['scenario']}", f"batch size {case['batch_size']}"]
        what.append(counted(case["clients"], "client"))
        if case["iterations"]:
            what.append(counted(case["iterations"], "iteration"))
        what.append(f"for {span(case['seconds'])}" if case["seconds"] else "until its end")
        said.append(f"  {', '.join(what)}")
    total = plan["seconds"]
    lasts = f"about {span(total)}" if total else "as long as its iterations do"
    said.append(f"takes {lasts}, and loading")
    said.append(f"report: {plan['report']}")
    return said + [f"note: {text}" for text in plan["notes"]]
