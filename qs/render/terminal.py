"""A result on the terminal: the verdict and the figures first, then what speaks against them, then
how it was measured, and last where it lies. A saved result prints the same as a fresh one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from qs.base.console import console, open_table
from qs.base.visible import one_line
from qs.base.words import moment, number, signed_percent, span
from qs.render.answers import answers_line
from qs.render.nodes import Side, sides_of
from qs.render.performance import Shown, columns_of
from qs.render.sweep import WIDE, limit_table, sweep_lines, sweep_table
from qs.render.tiles import Tile, tiles_of
from qs.result.gate import GateEntry
from qs.result.nodes_words import NODES
from qs.result.power import POWER, USE
from qs.result.result import GraphCompile, Kind, Status
from qs.result.row import Row
from qs.result.server_words import NAMES as SERVED
from qs.result.server_words import Table as Words
from qs.result.story import VERIFIED, Story
from qs.result.tokens_words import FACTS as TOKENS
from qs.result.tokens_words import brief_table

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

STYLES = {"good": "green", "doubtful": "yellow", "bad": "red"}
LOG_WIDTH = 160
MOST_OPERATORS = 10
MOST_NODES, MOST_SIDES, STATE = 12, 3, 60  # nodes of all cases; cases; characters
MOST_LISTED = 6  # batch sizes with a line each
# Facts on what a call was.
FED = ("batch", "a call is fed")


def print_story(
    story: Story,
    where: str | None,
    stream: TextIO,
    told: Collection[str] = (),
    page: Path | None = None,
) -> None:
    """The verdict and what came out, the table, the doubts, what was checked and how it was run,
    and where the report lies. `told` are warnings that its reader has seen already.
    """
    from rich.text import Text

    out = console(stream, LOG_WIDTH)

    def say(line: str, style: str = "") -> None:
        # Nobody's text begins a line of ours, such as the verdict.
        text = line.replace("\n", "\n    ")
        out.print(Text(text, style), soft_wrap=True)

    verdict, *rest = heading(story)
    say(verdict, f"bold {STYLES[story.tone]}")
    for line in rest:
        say(line)
    sweep = story.result.sweep
    if sweep:
        out.print(sweep_table(sweep, out.width >= WIDE))
        if sweep.limit:
            out.print(limit_table(sweep.limit, out.width >= WIDE))
        for line in sweep_lines(sweep):
            out.print(line, markup=False, soft_wrap=True)
    elif story.cases:
        out.print(table(story, out.width))
        brief = brief_table(story.cases)
        if brief:
            out.print(plain_table(brief))
        for side in sides_of(story.cases, MOST_NODES)[:MOST_SIDES]:
            out.print(nodes_table(side, out.width))
            if side.left_out:
                say(side.left_out)
        if any(case.row.disturbed for case in story.cases):
            say("±: half of the 95 % interval; ?: another run may differ by more")
    for line in doubts(story, told):
        say(line, STYLES["doubtful"])
    for line in lines(story):
        say(line)
    for name, path in (("report", where), ("page", page)):
        if path is not None:
            out.print(
                Text.assemble(f"{name}: ", _linked(Path(path), out.is_terminal)), soft_wrap=True
            )


def _linked(path: Path, on_terminal: bool) -> Text:
    """The path; a terminal that can follows it with a click."""
    from rich.text import Text

    link = f"link {path.absolute().as_uri()}" if on_terminal else ""
    return Text(str(path), link)


def heading(story: Story) -> list[str]:
    """The verdict, the figures that matter most, and the reasons."""
    result = story.result
    ended = "" if result.status == Status.COMPLETE else f" ({result.status})"
    said = [f"verdict: {story.standing}{ended}"]
    said += [f"  {reason}" for reason in story.reasons]
    said += gates(result.gates)
    of, tiles = tiles_of(story)
    answer = result.sweep.answer if result.sweep else ""
    if answer:
        said += [] if answer in result.reasons else [f"{answer}."]
    elif tiles:
        said.append(f"{of}: {figures(tiles)}" if of else figures(tiles))
    return said


def figures(tiles: Sequence[Tile]) -> str:
    return ", ".join(map(str, tiles))


def table(story: Story, width: int = LOG_WIDTH) -> Table:
    """A line for each case, as wide as the columns that so many places have room for."""
    from rich.text import Text

    first = _names(story)
    last = ["verdict", *(_verdict(case.row) for case in story.cases)]
    ends = max(map(len, first)) + max(map(len, last)) + 4
    shown = _fitting(columns_of(story.cases), width - ends)
    made = open_table(story.title)
    for heading in (first[0], *(each.heading for each in shown), "verdict"):
        made.add_column(heading, justify="right", no_wrap=True)
    for at, case in enumerate(story.cases):
        cells = [first[at + 1], *(each.texts[at] for each in shown)]
        made.add_row(*map(Text, cells), Text(last[at + 1], STYLES[case.row.tone]))
    return made


def nodes_table(side: Side, width: int = LOG_WIDTH) -> Table:
    """The nodes of a case, a line each."""
    from rich.text import Text

    first = ["node", *(one_line(node.entry.name, STATE) for node in side.nodes)]
    last = ["state", *(one_line(node.state, STATE) for node in side.nodes)]
    shown = _fitting(side.columns, width - max(map(len, first)) - max(map(len, last)) - 4)
    made = open_table(f"{side.case}: {side.caption}")
    for heading in (first[0], *(each.heading for each in shown), last[0]):
        made.add_column(heading, justify="right", no_wrap=True)
    for at, node in enumerate(side.nodes):
        cells = [first[at + 1], *(each.texts[at] for each in shown)]
        made.add_row(*map(Text, cells), Text(last[at + 1], STYLES[node.tone]))
    return made


def plain_table(found: Words) -> Table:
    """A table in words, figures to the right."""
    from rich.text import Text

    made = open_table("")
    words = 1 if len(found.headings) == 4 else 2  # columns of words before the figures
    for at, heading in enumerate(found.headings):
        made.add_column(heading, justify="left" if at < words else "right", no_wrap=True)
    for line in found.lines:
        made.add_row(*map(Text, line))
    return made


def _names(story: Story) -> list[str]:
    """The first column: batch sizes, or whole names where these do not tell the cases apart."""
    if all(case.name == f"BS {case.row.batch_size}" for case in story.cases):
        return ["BS", *(number(case.row.batch_size) for case in story.cases)]
    return ["case", *(case.name for case in story.cases)]


def _verdict(row: Row) -> str:
    return "too short" if row.valid and row.too_short else str(row.verdict)


def _fitting(shown: Sequence[Shown], room: int) -> list[Shown]:
    """The columns that fit. Those that are not vital go first, from the last to the first; the
    result has them all.
    """
    kept = list(shown)
    for each in reversed(shown):
        if sum(map(_places, kept)) <= room:
            break
        if not each.vital:
            kept.remove(each)
    return kept


def _places(column: Shown) -> int:
    return max(map(len, (column.heading, *column.texts))) + 2


def doubts(story: Story, told: Collection[str] = ()) -> list[str]:
    """One a line, with the cases it holds for and what removes it."""
    return [f"warning: {each}" for each in story.doubts if each.cases or each.text not in told]


def lines(story: Story) -> list[str]:
    """What was checked and how it was run, one fact a line."""
    result = story.result
    said = [answers_line(story.answers)] if story.answers else []
    said += [f"{name}: {text}" for name, text in story.facts if name == VERIFIED]
    said += [audited(row) for row in result.performance if row.vendor]
    if story.shared and story.cases and not result.sweep:
        said.append(f"all: {story.shared}" if len(story.cases) > 1 else story.shared)
    if result.graph_compile and result.served is None:
        said.append(compilation(result.graph_compile))
        said += operators(result.graph_compile)
    if result.kind == Kind.LOAD:
        said += first_inferences(result.performance)
    environment = result.environment
    if environment and environment.get("Key"):
        said.append(f"environment: {environment['Key']}, the backend's own")
    said += [f"{name}: {text}" for name, text in story.facts if name in FED]
    if result.samples:
        said.append(f"samples: {samples(result.samples)}")
    said += [f"{name}: {text}" for name, text in story.facts if name in (NODES, *TOKENS)]
    said += [f"{name}: {text}" for name, text in story.facts if name in SERVED]
    note = (result.model_source or {}).get("note")
    if note:
        said.append(f"model: {note}")
    said += [f"{name}: {text}" for name, text in story.facts if name in (POWER, USE)]
    if story.machine:
        said.append(f"machine: {story.machine}")
    if result.started and result.performance:
        said.append(f"measured: {moment(result.started)}")
    return said


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


def operators(section: GraphCompile) -> list[str]:
    """The longest operators, if the backend has counted them."""
    counted = section.operators
    longest = [] if counted is None else counted.longest(MOST_OPERATORS)
    if counted is None or not longest:
        return []
    lines = [f"operators ({counted.heading()}):"]
    for each in longest:
        how = f" ({each.implementation})" if each.implementation else ""
        share, took = f"{100 * (each.share or 0):.1f} %", f"{number(each.time_us)} us"
        lines.append(f"  {share:>7}  {took:>11}  {each.type or ''} {each.name}{how}")
    return lines


def first_inferences(rows: Sequence[Row]) -> list[str]:
    """What the first call costs beside the later ones: it is in no percentile."""
    known = [row for row in rows if row.first_inference_ms]
    if len(known) > MOST_LISTED:
        times = [row.first_inference_ms or 0.0 for row in known]
        return [f"first inference {number(min(times))} to {number(max(times))} ms"]
    return [
        f"BS {row.batch_size}: "
        + ("" if row.load_s is None else f"loaded in {span(row.load_s)}, ")
        + f"first inference {number(row.first_inference_ms)} ms"
        for row in known
    ]


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
