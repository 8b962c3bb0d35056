"""What `--fail_if` takes, for every command that has it.

    [CASE.]FIGURE OPERATOR VALUE     p99>50ms   bs8.items/s<200   accuracy<0.97   errors>0.1%
    [CASE.][FIGURE.]slower:SHARE     slower:5%  p99.slower:10%    bs8.p99.slower:10%

CASE is one or several of the words that name a case in a report's files, with hyphens: bs8, c2
(clients), i2 (instances), t4 (threads), a pool, a scenario. Without it every case is meant. A
condition says when to fail.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from qs.base.errors import Fault, Faults
from qs.base.names import nearest
from qs.base.scenarios import NAMES as SCENARIOS
from qs.base.scenarios import spelled
from qs.base.words import number
from qs.gates.figures import BY_NAME as OF_ALL
from qs.gates.figures import FIGURES, Figure, Unit
from qs.gates.measured import EXAMPLES, MEASURED
from qs.result.row import Row

FLAG = "--fail_if"
ACCURACY = "accuracy"
SLOWER = "slower"
BOUNDS = "FIGURE>VALUE or FIGURE<VALUE, such as p99>50ms, items/s<200, accuracy<0.97 or errors>0"
CHANGES = "slower:5%, or for one figure: p99.slower:10%, throughput.slower:3%"
COMPARED = ("throughput", "mean", "p50", "p90", "p99", "p99.9")
# The same of a language model.
MEASURES = frozenset(figure.name.split(".")[0] for figure in MEASURED)
COMPARED_MEASURES = (
    "ttft.p50",
    "ttft.p99",
    "itl.p50",
    "itl.p99",
    "tpot.p50",
    "tpot.p99",
    "output_tokens/s",
    "goodput",
)
BY_NAME = OF_ALL | {name: figure for figure in MEASURED for name in (figure.name, *figure.aliases)}
POOLS = ("thread", "inline", "process", "async")
MOST = 100  # conditions
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CASE_WORD = rf"bs\d+|c\d+|i\d+|t\d+|{'|'.join(POOLS)}|{'|'.join(map(spelled, SCENARIOS))}"
_CASE = re.compile(rf"((?:{_CASE_WORD})(?:-(?:{_CASE_WORD}))*)\.(.+)", re.IGNORECASE)
_BOUND = re.compile(r"(?P<left>[^<>=]+?)\s*(?P<operator>[<>]=?)\s*(?P<right>[^<>=]+)")
_VALUE = re.compile(r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?P<unit>[^\d\s]*)")
_CHANGE = re.compile(r"(?:(?P<figure>.+)\.)?slower:(?P<share>[^:%]+)(?P<percent>%?)")


@dataclass(frozen=True)
class Selector:
    """Which cases: all words must be true of a row. None: every case."""

    words: tuple[str, ...] = ()

    def takes(self, row: Row) -> bool:
        return set(self.words) <= words_of(row)

    def __str__(self) -> str:
        return "-".join(self.words)


@dataclass(frozen=True)
class Bound:
    """A condition on a figure of one run. `value` is in the figure's unit: ms, bytes, 1/s."""

    text: str
    selector: Selector
    operator: str
    value: float
    # Of a case; None: `metric` is the data set's, or "accuracy" for its first one.
    figure: Figure | None
    metric: str = ""
    share: bool = False  # a count is meant as a share of all queries

    def met(self, value: float) -> bool:
        return OPERATORS[self.operator](value, self.value)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Change:
    """A condition on what changed between two results: slower by at least `share`."""

    share: float
    figure: str | None = None  # None: any
    selector: Selector = Selector()

    def __str__(self) -> str:
        parts = [*filter(None, (str(self.selector), self.figure)), f"slower:{self.share * 100:g}%"]
        return ".".join(parts)


def words_of(row: Row) -> set[str]:
    """Everything that a selector may say of a row."""
    found = {f"bs{row.batch_size}"}
    for letter, value in (
        ("c", row.clients),
        ("i", row.instances),
        ("t", row.intra_op_threads),
    ):
        if value is not None:
            found.add(f"{letter}{value}")
    if row.pool:
        found.add(row.pool)
    scenario = row.scenario or ""
    found.add(spelled(scenario) if scenario in SCENARIOS else scenario.replace(" ", "_"))
    return found


def parse(
    texts: Iterable[str],
    *,
    bounds: bool = True,
    changes: bool = False,
    metrics: Sequence[str] | None = (),
    margin: float = 0.0,
) -> tuple[Bound | Change, ...]:
    """Conditions, one in each text or several separated by commas. Raises Faults with everything
    that is wrong with them.

    bounds   whether bounds on one run are taken; `changes`: whether changes between two are
    metrics  of the data set: none for a model file; None if they are not known yet
    margin   a change must be larger than that to be one, as a share
    """
    found: list[Bound | Change] = []
    faults: list[Fault] = []
    allowed = " or ".join([BOUNDS] * bounds + [CHANGES] * changes) + "; separated by commas"
    parts = [part.strip() for text in texts for part in text.split(",")]
    if len(parts) > MOST:
        raise Faults([Fault(FLAG, "", f"{len(parts)} conditions", f"at most {MOST}")])
    for part in parts:
        selector, rest = _selected(part)
        change = _CHANGE.fullmatch(rest.lower().replace(" ", ""))
        bound = _BOUND.fullmatch(rest)
        made: Bound | Change | Fault
        if change and changes:
            made = _change(part, selector, change, margin)
        elif change:
            hint = "one run alone is held to bounds; two are compared by qs compare and qs ci"
            made = Fault(FLAG, "", part, BOUNDS, hint=hint)
        elif bound and bounds:
            made = _bound(part, selector, bound, metrics)
        else:
            made = Fault(FLAG, "", part, allowed)
        (faults if isinstance(made, Fault) else found).append(made)  # type: ignore[arg-type]
    if faults:
        raise Faults(faults)
    return tuple(dict.fromkeys(found))


def parse_changes(texts: Iterable[str], margin: float) -> tuple[Change, ...]:
    """Conditions on what changed between two results, and no others; as `parse`."""
    found = parse(texts, bounds=False, changes=True, margin=margin)
    return tuple(each for each in found if isinstance(each, Change))


def _selected(text: str) -> tuple[Selector, str]:
    matched = _CASE.fullmatch(text)
    if matched is None:
        return Selector(), text
    return Selector(tuple(matched[1].lower().split("-"))), matched[2].strip()


def _bound(
    text: str, selector: Selector, matched: re.Match[str], metrics: Sequence[str] | None
) -> Bound | Fault:
    name, sign = matched["left"].strip(), matched["operator"]
    figure = BY_NAME.get(name.lower())
    metric = "" if figure else _metric(name, metrics)
    if figure is None and not metric:
        return _unknown(text, name, metrics)
    if metric and selector.words:
        return Fault(FLAG, "", text, f"{name} of the whole run, without {selector}.")
    unit = figure.unit if figure else Unit.SCORE
    value = _value(matched["right"].strip(), unit)
    if value is None:
        return Fault(FLAG, "", text, f"{unit.allowed}, after {name}{sign}")
    share = unit is Unit.COUNT and matched["right"].strip().endswith("%")
    if share and figure is not None and figure.name != "errors":
        return Fault(FLAG, "", text, f"a count, after {name}{sign}")
    return Bound(text, selector, sign, value, figure, metric, share)


def _metric(name: str, metrics: Sequence[str] | None) -> str:
    """The data set's metric of that name; as it was typed if none is known yet."""
    if metrics == ():
        return ""
    if name.lower() == ACCURACY:
        return ACCURACY
    if metrics is None and name.lower().split(".")[0] in MEASURES:
        return ""
    if metrics is None:
        near = nearest(name, BY_NAME, cutoff=0.75)
        return "" if near or re.fullmatch(r"[Pp]\d.*", name) else name
    return next((each for each in metrics if each.lower() == name.lower()), "")


def _unknown(text: str, name: str, metrics: Sequence[str] | None) -> Fault:
    known = [each.name for each in FIGURES]
    hint = None
    if metrics == () and name.lower() in (ACCURACY, "top-1"):
        hint = "no accuracy is measured here: qs run scores a task on its data set"
    if metrics != ():
        known += [ACCURACY, *(metrics or ())]
    more = ", or a metric of the data set" if metrics is None else ""
    return Fault(
        FLAG,
        "",
        text,
        f"one of {', '.join(known)}, {EXAMPLES}{more}",
        nearest=nearest(name, [*BY_NAME, *known]),
        hint=hint,
    )


def _value(text: str, unit: Unit) -> float | None:
    """A bound in the figure's unit; None if it is none."""
    matched = _VALUE.fullmatch(text.lower())
    factor = None if matched is None else unit.factors.get(matched["unit"])
    if matched is None or factor is None:
        return None
    value = float(matched["number"]) * factor
    fits = math.isfinite(value) and (value >= 0.0 or unit is Unit.SCORE)
    return value if fits else None


def _change(text: str, selector: Selector, matched: re.Match[str], margin: float) -> Change | Fault:
    figure = matched["figure"]
    if figure is not None and BY_NAME.get(figure) is BY_NAME["items/s"]:
        figure = "throughput"
    if figure is not None and figure in BY_NAME and BY_NAME[figure] in MEASURED:
        figure = BY_NAME[figure].name
    known = (*COMPARED, *COMPARED_MEASURES)
    if figure is not None and figure not in known:
        allowed = f"one of {', '.join(known)} before .{SLOWER}"
        return Fault(FLAG, "", text, allowed, nearest=nearest(figure, known))
    percent = bool(matched["percent"])
    try:
        share = float(matched["share"]) / (100.0 if percent else 1.0)
    except ValueError:
        return Fault(FLAG, "", text, CHANGES)
    if not (math.isfinite(share) and share > 0.0 and (percent or share < 1.0)):
        return Fault(FLAG, "", text, "a share above 0, such as 5% or 0.05")
    if share < margin:
        hint = (
            f"differences within the margin of {number(margin * 100)} % are called the same: "
            f"add --margin {share * 100:g}%"
        )
        return Fault(FLAG, "", text, f"at least the margin, {margin * 100:g}%", hint=hint)
    return Change(share, figure, selector)
