"""What the charts of a language model are made of: plain points, bounded so that a page stays
small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

from qs.render.html.percentiles import percentile_points
from qs.result.cases import NamedCase
from qs.result.row import Row
from qs.result.sweep import SweepEntry
from qs.result.tokens_entry import LengthsEntry, RequestEntry, TokenSeriesEntry
from qs.result.tokens_words import NAMES, measured_of

Point = dict[str, Any]
Value = float | int | None
LogOf = Callable[[str], "str | None"]
# Of times; those of tokens alone say nothing beside them.
DRAWN = ("ttft", "itl", "tpot", "event_gap", "normalised", "response")
MOST_CASES = 8
MOST_REQUESTS, FEWEST_REQUESTS = 80, 20  # of each case
MOST_WINDOWS = 1_200  # of all cases
BARS = 40
WAITING, PREFILL, DECODE, FAILED, WHOLE = (
    "waiting",
    "prefill",
    "decode",
    "failed",
    "sent to last byte",
)
PHASES = (WAITING, PREFILL, DECODE, WHOLE, FAILED)
WITHIN = {True: "within the bounds", False: "beyond them", None: "not told"}
# Tokens that come together have no time between them, and a logarithmic axis has no 0.
LEAST_MS = 0.01
DRAWN_LENGTHS, SERVED_LENGTHS = "as drawn", "as served"


def measure_points(cases: Sequence[NamedCase], log_of: LogOf) -> list[Point]:
    """[{"case", "measure", "x", "p", "ms", "few"}]: as `percentile_points` has them."""
    found: list[Point] = []
    shown = of_models(cases)
    for case in shown:
        measured = measured_of(case.row)
        for name in DRAWN:
            log = measured[name].histogram if name in measured else None
            if log is None or name == "event_gap" and _alike(case.row):
                continue
            points = percentile_points([case], _reading(log_of, log), len(shown) * len(DRAWN))
            found += [
                {**point, "ms": max(point["ms"], LEAST_MS), "measure": NAMES[name]}
                for point in points
            ]
    return found


def _reading(log_of: LogOf, log: str) -> Callable[[Row], str | None]:
    return lambda row: log_of(log)


def _alike(row: Row) -> bool:
    """Whether events carry a token each, so that the gaps between them are those of tokens."""
    measures = row.measures or {}
    itl, gap = measures.get("itl"), measures.get("event_gap")
    return itl is not None and gap is not None and (itl.count, itl.p99) == (gap.count, gap.p99)


def of_models(cases: Sequence[NamedCase]) -> list[NamedCase]:
    """Those cases, evenly chosen where there are too many for a page."""
    found = [case for case in cases if case.row.tokens is not None]
    return found[:: -(-len(found) // MOST_CASES) or 1]


def token_points(cases: Sequence[NamedCase]) -> list[Point]:
    """[{"case", "s", "to", "per_s", "in_flight", "ttft"}] by windows of time, neighbours together
    where there are many.
    """
    found: list[Point] = []
    shown = of_models(cases)
    for case in shown:
        series = case.row.tokens and case.row.tokens.series
        if not series or not series.window_s or len(series.output_tokens) < 3:
            continue
        group = -(-len(series.output_tokens) * len(shown) // MOST_WINDOWS) or 1
        size, made = float(series.window_s) * group, list[Point]()
        for at, (tokens, in_flight, ttft_ms) in enumerate(_grouped(series, group)):
            begins = at * size
            ends = min(begins + size, float(case.row.wall_s or begins + size))
            if ends - begins < size / 2:  # a rest too short to tell a rate
                continue
            made.append(
                {
                    "case": case.name,
                    "s": round(begins, 3),
                    "to": round(ends, 3),
                    "per_s": round(tokens / (ends - begins), 1),
                    "in_flight": in_flight,
                    "ttft": None if ttft_ms is None else round(float(ttft_ms), 3),
                }
            )
        # A step goes as far as its window.
        found += [*made, *(each | {"s": each["to"]} for each in made[-1:])]
    return found


def _grouped(
    series: TokenSeriesEntry, group: int
) -> Iterator[tuple[int, int | None, float | None]]:
    """(tokens, most in flight, median of the medians of TTFT) of so many windows together."""
    for at in range(0, len(series.output_tokens), group):
        part = slice(at, at + group)
        in_flight = [each for each in series.in_flight[part] if each is not None]
        ttft = [float(each) for each in series.ttft_p50_ms[part] if each is not None]
        yield (
            sum(series.output_tokens[part]),
            max(in_flight, default=None),
            median(ttft) if ttft else None,
        )


def request_points(cases: Sequence[NamedCase]) -> list[Point]:
    """[{"case", "n", "from", "to", "phase", "ms", "in", "out", "outcome"}]: the phases of single
    requests, `from` and `to` in s from the start, evenly over the sample.
    """
    found: list[Point] = []
    shown = of_models(cases)
    most = max(MOST_REQUESTS // max(len(shown) // 2, 1), FEWEST_REQUESTS)
    for case in shown:
        sample = case.row.tokens.sample if case.row.tokens else []
        step = -(-len(sample) // most) or 1
        for number, request in enumerate(sample[::step], start=1):
            for phase, begins, ends in _phases(request):
                found.append(
                    {
                        "case": case.name,
                        "n": number,
                        "from": round(begins / 1e3, 5),
                        "to": round(ends / 1e3, 5),
                        "phase": phase,
                        "ms": round(ends - begins, 3),
                        "in": request.input_tokens,
                        "out": request.output_tokens,
                        "outcome": request.outcome,
                    }
                )
    return found


def _phases(request: RequestEntry) -> Iterator[tuple[str, float, float]]:
    due, last = request.due_ms, request.last_ms
    if due is None or last is None or last < due:
        return
    sent = request.sent_ms if request.sent_ms is not None else due
    first = request.first_token_ms
    if sent > due:
        yield WAITING, float(due), float(sent)
    if request.outcome not in ("", "completed"):
        yield FAILED, float(sent), float(last)
    elif first is None:
        yield WHOLE, float(sent), float(last)
    else:
        yield PREFILL, float(sent), float(first)
        yield DECODE, float(first), float(last)


def length_points(cases: Sequence[NamedCase]) -> list[Point]:
    """[{"case", "of": "input" or "output", "how": as drawn or as served, "from", "to", "requests"}]
    in bars of one width for both.
    """
    found: list[Point] = []
    for case in of_models(cases):
        tokens = case.row.tokens
        for of, entry in (
            ("input", tokens and tokens.input_lengths),
            ("output", tokens and tokens.output_lengths),
        ):
            found += _bars(case.name, of, entry) if entry else []
    return found


def _bars(case: str, of: str, entry: LengthsEntry) -> Iterator[Point]:
    both = ((DRAWN_LENGTHS, entry.asked), (SERVED_LENGTHS, entry.served))
    values = [tokens for _, pairs in both for tokens, _ in pairs]
    if not values:
        return
    low, high = min(values), max(values)
    width = max(-(-(high - low + 1) // BARS), 1)
    for how, pairs in both:
        bars: dict[int, int] = {}
        for tokens, requests in pairs:
            at = (tokens - low) // width
            bars[at] = bars.get(at, 0) + requests
        for at, requests in sorted(bars.items()):
            begins = low + at * width
            yield {
                "case": case,
                "of": of,
                "how": how,
                "from": begins,
                "to": begins + width,
                "requests": requests,
            }


def goodput_points(cases: Sequence[NamedCase], sweep: SweepEntry | None = None) -> list[Point]:
    """[{"rate", "per_s", "what"}]: what came of each rate that was offered, by the search of a
    sweep or by the cases; of one rate alone nothing.
    """
    tried: list[tuple[Value, Value, Value]]
    if sweep is not None:
        tried = [
            (point.due_per_s or point.rate_per_s, point.good_per_s, point.answered_per_s)
            for point in (sweep.limit.curve if sweep.limit else ())
        ]
    else:
        tried = [
            (row.offered_per_s, row.good.good_per_s if row.good else None, row.queries_per_s)
            for row in (case.row for case in cases)
        ]
    found = [
        {"rate": float(rate), "per_s": float(value), "what": what}
        for rate, good, answered in tried
        if rate and good is not None
        for what, value in (("good", good), ("answered", answered))
        if value is not None
    ]
    return found if len({point["rate"] for point in found}) > 1 else []


def interactivity_points(sweep: SweepEntry | None) -> list[Point]:
    """[{"load", "user", "all", "best", "within"}]: tokens a second of a user against those of all,
    a point for each load.
    """
    return [
        {
            "load": point.load,
            "user": float(point.user_per_s),
            "all": float(point.output_per_s),
            "best": point.pareto,
            "within": WITHIN[point.within],
        }
        for point in (sweep.interactivity if sweep else ())
        if point.user_per_s and point.output_per_s
    ]
