"""A language model in the report: what is measured of its requests beside their response times, and
what a case comes to in tokens. What an answer says is qs.llm's part, what is counted the engine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from qs.engine import Bound, Histogram, Measured, RunPlan, RunResult
from qs.engine.statistics import spread_of, student_t
from qs.evaluate.served_model import Served
from qs.evaluate.token_doubts import doubts_of
from qs.llm.asked import LlmAsked
from qs.llm.counts import (
    ASKED,
    ASKED_INPUT,
    ASKED_OUTPUT,
    BY_TOKENIZER,
    BY_USAGE,
    DIFFERENCE,
    DIFFERING,
    EVENTS,
    EVENTS_SHARED,
    READING_NS,
    UNCOUNTED,
)
from qs.llm.measures import (
    CACHED_TOKENS,
    COUNTED_TOKENS,
    DECODE_RATE,
    GENERATION,
    INPUT_TOKENS,
    OUTPUT,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
    SERVER_DECODE,
    SERVER_PREFILL,
    TTFT,
    TTFT_SENT,
    measures_of,
)
from qs.result.measure_entry import MeasureEntry
from qs.result.row import Row
from qs.result.tokens_entry import (
    GoodputEntry,
    LengthsEntry,
    RequestEntry,
    TokensEntry,
    TokenSeriesEntry,
)

NS_PER_MS, US = 1e6, 1e6
WINDOW_S = 0.1  # of the engine's count of what happened
WINDOWS_A_SECOND = 10
SAMPLE = 120  # requests of which the report has all moments
MOST_WINDOWS, MOST_LENGTHS = 300, 200
LEVEL, FEWEST_BATCHES = 0.95, 10
# Where more of the answers were not read, what was counted of the others is no rate of the run.
MOST_UNREAD = 0.01
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}
OUTCOMES = ("completed", "failed", "timeout")  # as the engine numbers them
# What a server says of itself, and what the client saw of the same.
BESIDE = {"prefill": (SERVER_PREFILL, TTFT_SENT), "decode": (SERVER_DECODE, GENERATION)}
COUNTERS = {BY_USAGE: "server's usage", BY_TOKENIZER: "tokenizer", UNCOUNTED: "nobody"}


class TokensBeside:
    """What a case of a language model measures and reports besides; nothing of any other model."""

    def __init__(self, asked: LlmAsked | None):
        self._asked = asked

    @classmethod
    def of(cls, served: Served | None) -> TokensBeside:
        return cls(None if served is None else served.asked.llm)

    def plan(self, plan: RunPlan, bounds: Sequence[Bound] = ()) -> RunPlan:
        """The plan with the measures that such requests can have, and `bounds` for goodput."""
        if self._asked is None:
            return plan
        found = (*measures_of(self._asked.api, self._asked.stream), *ASKED)
        return replace(
            plan,
            measures=found,
            bounds=(*plan.bounds, *bounds),
            sample_requests=SAMPLE,
        )

    def row(self, row: Row, result: RunResult, logs: Mapping[str, str]) -> Row:
        """The row with its measures and its tokens. `logs`: as `write_logs` names them."""
        if self._asked is None:
            return row
        made = with_tokens(row, result, self._asked.api, self._asked.stream, logs)
        return made.doubted(*doubts_of(made, result.read, self._asked))


def with_tokens(
    row: Row, result: RunResult, api: str, streamed: bool | None, logs: Mapping[str, str]
) -> Row:
    """The row with what was measured of a language model's requests."""
    measures = {
        name: measure_entry(measured, logs.get(name)) for name, measured in result.measures.items()
    }
    return row.changed(measures=measures, tokens=tokens_entry(result, api, streamed))


def measure_entry(measured: Measured, log: str | None = None) -> MeasureEntry:
    """One measure in the report's units."""
    found, scale = measured.histogram, _scale(measured)
    unit = "ms" if measured.measure.unit == "ns" else measured.measure.unit
    if not found.count:
        return MeasureEntry(unit=unit, count=0)

    def figure(value: float | None) -> float | None:
        return None if value is None else value / scale

    halves = {
        _key(percentile): figure(estimate.half_width)
        for percentile, estimate in measured.confidence.items()
        if estimate.half_width is not None and found.supports(percentile)
    }
    return MeasureEntry(
        unit=unit,
        count=found.count,
        mean=figure(found.mean_ns),
        min=figure(found.min_ns),
        max=figure(found.max_ns),
        **{name: figure(found.reported_ns(at)) for name, at in PERCENTILES.items()},
        half_widths=halves,
        histogram=log,
    )


def tokens_entry(result: RunResult, api: str, streamed: bool | None) -> TokensEntry:
    """What a case comes to in tokens."""
    read, wall_s = result.read, result.wall_s
    totals = {each: _total(result, each.name) for each in (INPUT_TOKENS, OUTPUT_TOKENS)}
    output = totals[OUTPUT_TOKENS]
    counted_by: dict[str, int | None] = {
        text: read[name] for name, text in COUNTERS.items() if read.get(name)
    }
    # Of the texts, the tokenizer's count beside the server's.
    both_counted = _total(result, COUNTED_TOKENS.name) is not None and BY_USAGE in read
    ordered = sorted(result.outcomes.items(), key=_by_count)
    outcomes: dict[str, int | None] = dict(ordered)
    event_us, stream_us, reading_ms = _cost(result)
    over_s = wall_s if result.unread <= MOST_UNREAD * result.completed else 0.0
    users = result.measures.get(DECODE_RATE.name)
    of_user = None if users is None else measure_entry(users).p50
    return TokensEntry(
        api=api,
        streamed=streamed,
        counted_by=counted_by,
        differing=read.get(DIFFERING, 0) if both_counted else None,
        differing_tokens=read.get(DIFFERENCE, 0) if both_counted else None,
        events_shared=read.get(EVENTS_SHARED, 0) if streamed else None,
        input_tokens=totals[INPUT_TOKENS],
        output_tokens=output,
        reasoning_tokens=_total(result, REASONING_TOKENS.name),
        cached_tokens=_total(result, CACHED_TOKENS.name),
        input_per_s=_per_s(totals[INPUT_TOKENS], over_s),
        output_per_s=_per_s(output, over_s),
        output_per_s_half_width=_half_width(result.measures.get(OUTPUT_TOKENS.name))
        if over_s
        else None,
        peak_output_per_s=peak(result.happened.get(OUTPUT), over_s),
        output_per_s_of_user=of_user,
        outcomes=outcomes,
        goodput=_goodput(result),
        events=read.get(EVENTS),
        client_us_per_event=event_us,
        client_us_per_stream=stream_us,
        reading_ms=reading_ms,
        series=_series(result),
        sample=list(sample_of(result)),
        input_lengths=_lengths(result, ASKED_INPUT.name, INPUT_TOKENS.name),
        output_lengths=_lengths(result, ASKED_OUTPUT.name, OUTPUT_TOKENS.name),
        server_times=_server_times(result),
    )


def peak(happened: np.ndarray | None, wall_s: float) -> int | None:
    """The most within a second, wherever the second begins (to 0.1 s); None where the run was
    shorter than one.
    """
    if happened is None or not happened.size or wall_s < 1.0:
        return None
    if happened.size <= WINDOWS_A_SECOND:  # what came later is no token
        return int(happened.sum())
    sums = np.concatenate(([0], np.cumsum(happened, dtype=np.int64)))
    return int((sums[WINDOWS_A_SECOND:] - sums[:-WINDOWS_A_SECOND]).max())


def sample_of(result: RunResult) -> Iterator[RequestEntry]:
    """The sampled requests in the order in which they were due, in ms from the start."""
    columns = result.sampled
    if not columns or not columns["due_ns"].size:
        return
    size = columns["due_ns"].size
    nothing = np.full(size, -1, np.int64)

    def of(name: str, at: int) -> int:
        return int(columns.get(name, nothing)[at])

    for at in np.argsort(columns["due_ns"], kind="stable")[:SAMPLE].tolist():
        due, sent, first = of("due_ns", at), of("sent_ns", at), of(TTFT.name, at)
        yield RequestEntry(
            due_ms=due / NS_PER_MS,
            sent_ms=sent / NS_PER_MS if sent >= of("issued_ns", at) else None,
            first_token_ms=(due + first) / NS_PER_MS if first >= 0 else None,
            last_ms=of("completed_ns", at) / NS_PER_MS,
            input_tokens=_known(of(INPUT_TOKENS.name, at)),
            output_tokens=_known(of(OUTPUT_TOKENS.name, at)),
            outcome=OUTCOMES[of("outcome", at)],
        )


def lengths(histogram: Histogram) -> list[tuple[int, int]]:
    """[(tokens, requests)] by rising tokens, at most MOST_LENGTHS of them."""
    filled = np.flatnonzero(histogram.counts)
    if not filled.size:
        return []
    tokens, counts = Histogram.bottoms_ns(filled), histogram.counts[filled]
    width = -(-int(tokens[-1] - tokens[0] + 1) // MOST_LENGTHS)
    if filled.size > MOST_LENGTHS:
        places, inverse = np.unique((tokens - tokens[0]) // width, return_inverse=True)
        counts = np.bincount(inverse, weights=counts).astype(np.int64)
        tokens = places * width + tokens[0]
    return list(zip(tokens.tolist(), counts.tolist()))


def goal_text(bound: Bound, measured: Mapping[str, Measured]) -> str:
    """A bound of goodput as it is typed: ttft=200ms."""
    found = measured.get(bound.measure)
    if found is None or found.measure.unit == "ns":
        return f"{bound.measure}={bound.limit / NS_PER_MS:g}ms"
    return f"{bound.measure}={bound.limit / found.measure.scale:g}"


def _scale(measured: Measured) -> float:
    return NS_PER_MS if measured.measure.unit == "ns" else float(measured.measure.scale)


def _key(percentile: float) -> str:
    return f"p{percentile:g}".replace(".", "_")


def _known(value: int) -> int | None:
    return value if value >= 0 else None


def _total(result: RunResult, name: str) -> int | None:
    found = result.measures.get(name)
    return int(found.histogram.sum_ns) if found is not None and found.histogram.count else None


def _per_s(total: int | None, wall_s: float) -> float | None:
    return total / wall_s if total is not None and wall_s > 0 else None


def _half_width(measured: Measured | None) -> float | None:
    """Of the 95 % interval of tokens per second, from the intervals of the run: the ratio of two
    sums, as throughput is.
    """
    rows = [] if measured is None else measured.intervals
    if len(rows) < FEWEST_BATCHES or measured is None or not measured.histogram.count:
        return None
    tokens = np.array([float(Histogram.middles_ns(row.index) @ row.counts) for row in rows])
    seconds = np.array([row.length_s for row in rows])
    spread = spread_of([[(tokens, seconds)]])
    if spread.batches < 2 or spread.correlated:
        return None
    error = float(np.sqrt(spread.variance)) / float(seconds.sum())
    return student_t(LEVEL, spread.batches - 1) * error


def _goodput(result: RunResult) -> GoodputEntry | None:
    if result.good is None:
        return None
    estimate = result.good_per_s
    return GoodputEntry(
        good=result.good,
        good_per_s=result.good / result.wall_s if result.wall_s > 0 else None,
        half_width=None if estimate is None else estimate.half_width,
        batches=None if estimate is None else estimate.batches,
    )


def _server_times(result: RunResult) -> dict[str, dict[str, float | int | None]]:
    """Medians in ms of what the server states and of what the client saw, where both are told."""
    found = {}
    for name, pair in BESIDE.items():
        known = [result.measures.get(each.name) for each in pair]
        theirs, ours = (None if each is None else measure_entry(each).p50 for each in known)
        if theirs is not None and ours is not None:
            difference: float | int | None = ours - theirs
            found[name] = {"server": theirs, "client": ours, "difference": difference}
    return found


def _by_count(named: tuple[str, int]) -> tuple[int, str]:
    return -named[1], named[0]


def _cost(result: RunResult) -> tuple[float | None, float | None, float | None]:
    """CPU time of the client for an event and for a request in us, and of reading in ms."""
    cpu_s = result.worker_cpu_s
    events, requests = result.read.get(EVENTS), result.completed + result.errors
    reading = result.read.get(READING_NS)
    return (
        cpu_s * US / events if events and cpu_s > 0 else None,
        cpu_s * US / requests if requests and cpu_s > 0 else None,
        None if reading is None else reading / NS_PER_MS,
    )


def _series(result: RunResult) -> TokenSeriesEntry | None:
    """Tokens, requests in flight and the time to a first token, by windows that are whole numbers
    of the result's intervals and of the engine's counts.
    """
    happened = result.happened.get(OUTPUT)
    if happened is None or not happened.size or not result.intervals:
        return None
    each_s = result.intervals[0].length_s
    size = max(round(each_s / WINDOW_S), 1)
    size *= -(-happened.size // (MOST_WINDOWS * size))
    window_s = size * WINDOW_S
    starts = np.arange(0, happened.size, size)
    in_flight: list[int | None] = [None] * starts.size
    first: list[Histogram] = [Histogram() for _ in starts]
    for row in result.intervals:
        at = _window(row.start_s, window_s, starts.size)
        in_flight[at] = row.in_flight
    measured = result.measures.get(TTFT.name)
    for row in measured.intervals if measured is not None else ():
        if row.completed:
            first[_window(row.start_s, window_s, starts.size)].merge(row.histogram())
    return TokenSeriesEntry(
        window_s=window_s,
        output_tokens=np.add.reduceat(happened, starts).tolist(),
        in_flight=in_flight,
        ttft_p50_ms=[_median_ms(each) for each in first],
    )


def _median_ms(found: Histogram) -> float | None:
    return found.percentile_ns(50.0) / NS_PER_MS if found.count else None


def _window(start_s: float, window_s: float, windows: int) -> int:
    return min(int(start_s / window_s + 1e-6), windows - 1)


def _lengths(result: RunResult, asked: str, served: str) -> LengthsEntry | None:
    found = {
        key: lengths(result.measures[name].histogram)
        for key, name in (("asked", asked), ("served", served))
        if name in result.measures
    }
    return LengthsEntry(**found) if any(found.values()) else None
