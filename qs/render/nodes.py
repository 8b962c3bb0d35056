"""The nodes of a case side by side, as every view for people shows them: which ones stand out,
which columns there are, and how their figures are written.

Of many nodes those are shown that stand out most; how many are left out is said, and between which
figures these are.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from qs.base.visible import one_line
from qs.base.words import NOTHING, counted, number, percent, span
from qs.render.performance import Shown, alike, in_one_unit
from qs.result.cases import NamedCase
from qs.result.nodes_entry import ClockEntry, NodeEntry
from qs.result.part import Word
from qs.result.server_words import Table

# A node is slower if its median, or its p99, is so many times that of the others; of so many
# requests. As the engine has it (qs.engine.judging.caveats.nodes).
SLOW_MEDIAN, SLOW_TAIL = 1.5, 2.0
MEDIAN_OF, TAIL_OF = 400, 3_000
MOST_STATE, MOST_NAME = 160, 40  # characters


class Health(Word):
    """What to think of a node at a glance."""

    FINE = "as the others"
    SLOW = "slower"
    LOST = "lost"


TONES = {Health.FINE: "good", Health.SLOW: "doubtful", Health.LOST: "bad"}


@dataclass(frozen=True)
class Node:
    """One node beside the others of its case."""

    entry: NodeEntry
    health: Health
    # how many times the median of the others its median is, and its p99
    middle: float
    tail: float

    @property
    def worst(self) -> float:
        return max(self.middle, self.tail)

    @property
    def tone(self) -> str:
        return TONES[self.health]

    @property
    def state(self) -> str:
        """In a few words."""
        entry, said = self.entry, []
        if entry.lost:
            when = f" after {span(max(entry.lost_at_s, 0.0))}" if entry.lost_at_s else ""
            said.append(f"lost{when}: {entry.lost}")
            if entry.kept_until_s:
                said.append(f"kept until {span(entry.kept_until_s)}")
        if entry.replaces:
            said.append(f"took over from {entry.replaces}")
        if self.health is Health.SLOW:
            said.append("slower than the others")
        if entry.doubts:
            said = [*(said or ["ok"]), counted(len(entry.doubts), "doubt")]
        text = "; ".join(said) or "ok"
        return text if len(text) <= MOST_STATE else f"{text[: MOST_STATE - 3]}..."


@dataclass(frozen=True)
class Side:
    """The nodes of one case, those that stand out most first, and what was left out."""

    case: str
    nodes: tuple[Node, ...]
    columns: tuple[Shown, ...]
    of: int  # how many there are
    left_out: str  # "" where all are shown
    aligned_ms: float | None  # how well their clocks are known, the worst of them

    @property
    def caption(self) -> str:
        known = (
            ""
            if self.aligned_ms is None
            else f"; the start is known to within {number(self.aligned_ms)} ms, as the clocks are"
        )
        shown = f"the {len(self.nodes)} that stand out most of " if self.left_out else ""
        return f"{shown}{counted(self.of, 'node')}{known}"


def sides_of(cases: Sequence[NamedCase], most: int) -> list[Side]:
    """The nodes of each case that ran on several machines; `most` of all cases together, and three
    of each at least.
    """
    spread = [case for case in cases if case.row.nodes]
    each = max(most // max(len(spread), 1), 3)
    return [_side(case, each) for case in spread]


def beside(entries: Sequence[NodeEntry]) -> list[Node]:
    """Each node beside the others, in the nodes' order."""
    p50, p99 = ([getattr(each, name) for each in entries] for name in ("p50_ms", "p99_ms"))
    of_others = zip(entries, _times_others(p50), _times_others(p99))
    return [_beside(entry, middle, tail) for entry, middle, tail in of_others]


def standing_out(nodes: Sequence[Node]) -> list[Node]:
    """Those that stand out most first: lost ones, then by how much worse they are."""
    return sorted(nodes, key=lambda node: (node.health is not Health.LOST, -node.worst))


def _beside(entry: NodeEntry, middle: float, tail: float) -> Node:
    """`middle`, `tail`: how many times those of the others its median and its p99 are."""
    count = entry.completed or 0
    slow = (middle >= SLOW_MEDIAN and count >= MEDIAN_OF) or (
        tail >= SLOW_TAIL and count >= TAIL_OF
    )
    health = Health.LOST if entry.lost else Health.SLOW if slow else Health.FINE
    return Node(entry, health, middle, tail)


def _times_others(values: Sequence[float | None]) -> list[float]:
    """How many times the median of the others each is; 1 where that cannot be told."""
    known = sorted(_finite(values))
    return [
        1.0 if value is None or not math.isfinite(value) else _ratio(value, _without(known, value))
        for value in values
    ]


def _without(known: Sequence[float], value: float) -> float | None:
    """The median of sorted values but for one of them."""
    count, at = len(known) - 1, bisect_left(known, value)
    if count < 1:
        return None
    middle = [each + (each >= at) for each in ((count - 1) // 2, count // 2)]
    return known[middle[0]] / 2 + known[middle[1]] / 2


def _ratio(value: float, other: float | None) -> float:
    return _sane(value / other) if other and other > 0 else 1.0


def _side(case: NamedCase, most: int) -> Side:
    nodes = beside(case.row.nodes)
    shown = nodes if len(nodes) <= most else standing_out(nodes)[:most]
    left = [] if len(nodes) <= most else standing_out(nodes)[most:]
    return Side(
        case.name,
        tuple(shown),
        tuple(_columns(shown)),
        len(nodes),
        _left_out(left),
        case.row.clock_uncertainty_ms,
    )


def _left_out(nodes: Sequence[Node]) -> str:
    """Between which figures those are that are not shown."""
    if not nodes:
        return ""
    said = [f"{counted(len(nodes), 'more node')} between them"]
    for name, of, unit in (
        ("rate", lambda entry: entry.queries_per_s, "/s"),
        ("p99", lambda entry: entry.p99_ms, " ms"),
    ):
        values = _finite(of(node.entry) for node in nodes)
        if values:
            said.append(f"{name} {number(min(values))} to {number(max(values))}{unit}")
    return f"{said[0]}: {', '.join(said[1:])}" if said[1:] else said[0]


def _columns(nodes: Sequence[Node]) -> list[Shown]:
    """What there is to show of these nodes, without their names and states."""
    entries = [node.entry for node in nodes]
    opened = any(each.offered_per_s for each in entries)
    found = [
        _words("share", "share", [each.share or "" for each in entries]),
        _rates("offered_per_s", "offered/s", entries, lambda each: each.offered_per_s, False),
        _rates("queries_per_s", "served/s" if opened else "queries/s", entries, _rate, True),
        _times("p50_ms", "p50", entries, lambda each: each.p50_ms, False),
        _times("p99_ms", "p99", entries, lambda each: each.p99_ms, True),
        _factors("of_others", "of others' p99", nodes),
        _times("max_ms", "max", entries, lambda each: each.max_ms, False),
        _times("service_p99_ms", "service p99", entries, lambda each: each.service_p99_ms, False),
        _times("lateness_p99_ms", "late p99", entries, lambda each: each.lateness_p99_ms, False),
        Shown(
            "errors",
            "errors",
            tuple(each.errors for each in entries),
            tuple(number(each.errors) for each in entries),
        ),
        Shown(
            "cpu",
            "CPU",
            tuple(each.cpu_share for each in entries),
            tuple(
                NOTHING if each.cpu_share is None else percent(each.cpu_share) for each in entries
            ),
            vital=False,
        ),
        Shown(
            "start_skew_ms",
            "start",
            tuple(each.start_skew_ms for each in entries),
            tuple(map(start_words, entries)),
            vital=False,
        ),
    ]
    return [each for each in found if any(value is not None for value in each.values)]


def side_table(side: Side) -> Table:
    """The figures that matter most, in words."""
    shown = [each for each in side.columns if each.vital]
    lines = [
        (one_line(node.entry.name, MOST_NAME), *(each.texts[at] for each in shown), node.state)
        for at, node in enumerate(side.nodes)
    ]
    return Table(("node", *(each.heading for each in shown), "state"), tuple(lines))


def machines_table(side: Side) -> Table:
    """What else is known of these nodes: their clocks, what the engine cost there."""
    headings = (
        "node",
        "address",
        "share",
        "after the start",
        "offset ms",
        "drift ppm",
        "round trips",
        "engine ns",
        "CPU",
    )
    return Table(headings, tuple(_machine(node.entry) for node in side.nodes))


def _machine(entry: NodeEntry) -> tuple[str, ...]:
    clock = entry.clock or ClockEntry()
    cost = entry.engine_cost
    trips = (
        NOTHING
        if clock.round_trips is None
        else f"{number(clock.round_trips)}, least {number(clock.least_round_trip_ms)} ms"
    )
    return (
        one_line(entry.name, MOST_NAME),
        one_line(entry.address or "", MOST_NAME),
        one_line(entry.share or "", MOST_NAME),
        start_words(entry),
        number(clock.offset_ms, 6),
        number(clock.drift_ppm),
        trips,
        number(cost.ns_per_request if cost is not None else None),
        NOTHING if entry.cpu_share is None else percent(entry.cpu_share),
    )


def start_words(entry: NodeEntry) -> str:
    """How long after the common start it began, as well as that is known: +0.03 ± 0.04 ms."""
    skew = entry.start_skew_ms
    if skew is None:
        return NOTHING
    known = entry.clock.uncertainty_ms if entry.clock is not None else None
    sign = "+" if skew > 0 else ""
    return f"{sign}{number(skew, 2)}" + ("" if known is None else f" ± {number(known, 2)}") + " ms"


def _rate(entry: NodeEntry) -> float | None:
    return entry.queries_per_s


def _rates(
    name: str,
    heading: str,
    entries: Sequence[NodeEntry],
    of: Callable[[NodeEntry], float | None],
    vital: bool,
) -> Shown:
    values = [of(each) for each in entries]
    return Shown(name, heading, tuple(values), tuple(alike(values)), vital)


def _times(
    name: str,
    heading: str,
    entries: Sequence[NodeEntry],
    of: Callable[[NodeEntry], float | None],
    vital: bool,
) -> Shown:
    values = [of(each) for each in entries]
    unit, texts = in_one_unit(values)
    return Shown(name, f"{heading} {unit}", tuple(values), tuple(texts), vital)


def _factors(name: str, heading: str, nodes: Sequence[Node]) -> Shown:
    """How many times that of the others each p99 is."""
    known = len(nodes) > 1
    values = [node.tail if known and node.entry.p99_ms is not None else None for node in nodes]
    texts = [NOTHING if value is None else f"{number(value, 2)}x" for value in values]
    return Shown(name, heading, tuple(values), tuple(texts))


def _words(name: str, heading: str, texts: Sequence[str]) -> Shown:
    """Words, which sort as their place does."""
    values = tuple(at if text else None for at, text in enumerate(texts))
    return Shown(name, heading, values, tuple(texts), vital=False)


def _finite(values: Iterable[float | None]) -> list[float]:
    return [float(each) for each in values if each is not None and math.isfinite(each)]


def _sane(value: float) -> float:
    return value if math.isfinite(value) else 0.0
