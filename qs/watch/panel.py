"""The panel of a case in flight: how far it is, rates and response times (now and overall), the
queue, and what the machine does. A colour says what to think of a figure, and a word says it too.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qs.base.words import number, rate, span, sparkline
from qs.watch import nodes as of_nodes
from qs.watch.progress import PHASES, doing, share

if TYPE_CHECKING:
    from qs.engine import Progress

WIDEST_SPARK = 60
LOOK_S = 1.0
NS_PER_MS = 1e6
BAR = 24
MOST_NODES = 8  # with a line each
# Of the median response time: issuing a query later than this is a part of what is measured.
LATE_SHARE = 0.1
BEHIND = 0.95  # of the rate asked for; below it the target does not keep up
BUSY, SCARCE = 0.9, 0.1  # of the machine's CPUs, of its memory that is free
PLAIN, BOLD = "none", "bold"
GOOD, DOUBTFUL, BAD, DIM = "green", "yellow", "red", "dim"

Part = tuple[str, str]  # words and their style


class Panel:
    """Remembers the last progress, and the p99 of the last intervals for a sparkline."""

    def __init__(
        self,
        title: str,
        limit_s: float | None,
        machine: Machine | None = None,
        asked_per_s: float | None = None,
    ):
        """`asked_per_s`: the rate of an open loop, if it has one."""
        self._title = title
        self._limit_s = limit_s
        self._asked_per_s = asked_per_s
        self._progress: Progress | None = None
        self._p99: deque[float] = deque(maxlen=WIDEST_SPARK)
        self._machine = machine or Machine()

    def see(self, progress: Progress) -> None:
        self._progress = progress
        now_ns = progress.p99_now_ns
        if progress.phase == "measure" and now_ns and (not self._p99 or self._p99[-1] != now_ns):
            self._p99.append(float(now_ns))
        self._machine.look()

    def __rich_console__(self, console: Any, options: Any):
        """As segments: rich's texts would take three times as long, while a case is measured."""
        from rich.segment import Segment

        for parts in self.rows(options.max_width):
            drawn = [Segment(words, console.get_style(style)) for words, style in parts]
            yield from Segment.adjust_line_length(drawn, options.max_width, pad=False)
            yield Segment.line()

    def lines(self, width: int) -> list[str]:
        """What is shown in that many columns, without colours."""
        return ["".join(words for words, _ in parts) for parts in self.rows(width)]

    def rows(self, width: int) -> list[list[Part]]:
        """Its lines, each of words with their style."""
        rows = ([part for part in parts if part[0]] for parts in self._rows(width))
        return [parts for parts in rows if parts]

    def _rows(self, width: int) -> list[list[Part]]:
        progress = self._progress
        if progress is None or progress.phase not in ("measure", "drain"):
            phase = doing(progress) if progress else PHASES["build"]
            many = progress.completed if progress and progress.read is None else 0
            done = f", {many:,} queries" if many else ""
            said = [(self._title, BOLD), (f": {phase}{done}", PLAIN)]
            return [said, *(_nodes(progress) if progress else [])]
        return [
            [(self._title, BOLD)],
            self._how_far(progress),
            self._rate(progress),
            _times("p50", progress.p50_now_ns, progress.p50_ns),
            _times("p99", progress.p99_now_ns, progress.p99_ns),
            self._strip(width),
            _queue(progress),
            _lateness(progress),
            self._machine.parts(),
            *_nodes(progress),
        ]

    def trace(self) -> str | None:
        """What stays when the panel has gone: the p99 of the last intervals, with its scale."""
        if len(self._p99) < 2:
            return None
        return f"{self._title}: p99 over time {self._scaled(WIDEST_SPARK)}"

    def _how_far(self, progress: Progress) -> list[Part]:
        part, total = share(progress, self._limit_s)
        full, empty, percent = bar(part, total, BAR)
        left = f", {span(progress.eta_s)} left" if progress.eta_s is not None else ""
        done = f"{span(progress.elapsed_s)}, {progress.completed:,} queries{left}"
        return [
            (full, "cyan"),
            (empty, DIM),
            (f" {percent}  " if percent else "", PLAIN),
            (done, PLAIN),
        ]

    def _rate(self, progress: Progress) -> list[Part]:
        asked = self._asked_per_s
        behind = asked and progress.queries_per_s < BEHIND * asked
        overall = f"{rate(progress.queries_per_s)}/s overall"
        said = [_name("rate"), (f"{rate(progress.now_per_s)}/s now, ", PLAIN), (overall, BOLD)]
        if asked:
            said.append((f", {rate(asked)}/s asked", PLAIN))
            said.append((": not kept up", BAD) if behind else ("", PLAIN))
        return said

    def _strip(self, width: int) -> list[Part]:
        if len(self._p99) < 2:
            return []
        return [_name("p99"), (self._scaled(max(min(width - 32, WIDEST_SPARK), 8)), PLAIN)]

    def _scaled(self, width: int) -> str:
        """The strip, and what its lowest and its highest bar stand for."""
        shown = list(self._p99)[-width:]
        low, high = (number(value / NS_PER_MS, 3) for value in (min(shown), max(shown)))
        return f"{sparkline(shown, width)} {low} to {high} ms"


class Machine:
    """CPU and memory, looked at once a second: the thread that conducts (this one), the whole
    machine.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._looked_s = clock()
        self._own_s = time.thread_time()
        self._before: Any = None
        self.conductor: float | None = None
        self.host: float | None = None
        self.free: float | None = None

    def look(self) -> None:
        now = self._clock()
        if now - self._looked_s < LOOK_S:
            return
        import psutil

        own_s, busy = time.thread_time(), psutil.cpu_percent(None)
        self.conductor = (own_s - self._own_s) / (now - self._looked_s)
        self.host = (
            busy / 100 if self._before is not None else None
        )  # the first call has nothing to compare with
        memory = psutil.virtual_memory()
        self.free = memory.available / memory.total
        self._before, self._looked_s, self._own_s = busy, now, own_s

    def parts(self) -> list[Part]:
        """In words, with what may disturb the measurement in a colour."""
        said: list[Part] = []
        if self.conductor is not None:
            said.append((f"engine {self.conductor:.1%} of a core", PLAIN))
        if self.host is not None:
            said.append((f"CPUs {self.host:.0%} busy", DOUBTFUL if self.host > BUSY else PLAIN))
        if self.free is not None:
            said.append((f"memory {self.free:.0%} free", BAD if self.free < SCARCE else PLAIN))
        return [_name("machine"), *_joined(said)] if said else []


def bar(done: float, total: float | None, width: int) -> tuple[str, str, str]:
    """The full part, the empty one, and the percentage; without a total, nothing to fill."""
    if not total:
        return "", "", ""
    part = min(max(done / total, 0.0), 1.0)
    full = round(part * width)
    return "━" * full, "─" * (width - full), f"{part:.0%}"


def _name(name: str) -> Part:
    return f"{name:<8}", DIM


def _joined(parts: list[Part]) -> list[Part]:
    """With commas between them."""
    return [each for part in parts for each in ((", ", PLAIN), part)][1:]


def _times(name: str, now_ns: int | None, overall_ns: int | None) -> list[Part]:
    if not overall_ns:
        return []
    now = f"{number(now_ns / NS_PER_MS)} ms now, " if now_ns else ""
    return [_name(name), (now, PLAIN), (f"{number(overall_ns / NS_PER_MS)} ms overall", BOLD)]


def _queue(progress: Progress) -> list[Part]:
    said: list[Part] = []
    if progress.in_flight is not None:
        said.append((f"{progress.in_flight:,} in flight", PLAIN))
    if progress.backlog:
        said.append((f"{progress.backlog:,} of them wait for a worker", DOUBTFUL))
    if progress.dropped:
        said.append((f"{progress.dropped:,} dropped", BAD))
    if progress.errors:
        said.append((f"{progress.errors:,} errors", BAD))
    return [_name("queries"), *_joined(said)] if said else []


def _nodes(progress: Progress) -> list[list[Part]]:
    """How many there are, and a line for each, or for those that stand out."""
    if not progress.nodes:
        return []
    lines: list[list[Part]] = [[_name("nodes"), (of_nodes.summary(progress.nodes), BOLD)]]
    for node in of_nodes.standing_out(progress.nodes, MOST_NODES):
        phase = of_nodes.phase_word(node)
        lost, silent = node.phase == of_nodes.LOST, phase.startswith("silent")
        style = BAD if lost else DOUBTFUL if silent or node.errors else PLAIN
        measuring = node.phase in ("measure", "drain")
        said = phase if lost or not measuring else of_nodes.figures(node)
        said += f", {phase}" if silent and said != phase else ""
        lines.append([_name(""), (f"{of_nodes.name_of(node)}: ", DIM), (said, style)])
    return lines


def _lateness(progress: Progress) -> list[Part]:
    """How late queries are issued, and whether that is the target's, the engine's, or nothing."""
    late_ns = progress.lateness_p99_ns
    if late_ns is None:
        return []
    late = f"p99 {number(late_ns / NS_PER_MS)} ms: "
    if progress.backlog:
        said = ("they wait for a worker", DOUBTFUL)
    elif progress.p50_ns and late_ns > LATE_SHARE * progress.p50_ns:
        said = (f"too late, over {LATE_SHARE:.0%} of p50", DOUBTFUL)
    else:
        said = ("in time", GOOD)
    return [_name("late by"), (late, PLAIN), said]
