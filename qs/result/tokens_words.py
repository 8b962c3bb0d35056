"""What a language model's case comes to, in words and tables: the same for the terminal, the page,
Markdown and PDF.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qs.base.words import NOTHING, counted, half_width, number, percent
from qs.result.cases import NamedCase
from qs.result.llm_server_words import llm_server_words
from qs.result.measure_entry import MeasureEntry
from qs.result.row import Row
from qs.result.server_words import Table

# Measures as a reader knows them; all of time first, in the order in which a request has them.
NAMES = {
    "ttft": "TTFT",
    "ttft_sent": "TTFT from the send",
    "itl": "ITL",
    "event_gap": "between events",
    "tpot": "TPOT",
    "decode": "decode",
    "normalised": "normalised",
    "response": "E2E",
    "prefill_rate": "prefill rate",
    "decode_rate": "decode rate of a user",
    "input_tokens": "input",
    "output_tokens": "output",
    "reasoning_tokens": "of it reasoning",
    "cached_tokens": "of the input cached",
}
MOST_SAID = 6  # cases with lines of their own
TOKENS, OUTCOMES, GOODPUT, CLIENT, SERVER, TOLD = (
    "tokens",
    "answers ended by",
    "goodput",
    "client per event",
    "server's own times",
    "server's metrics",
)
FACTS = (TOKENS, OUTCOMES, GOODPUT, CLIENT, SERVER, TOLD)
_BRIEF = ("ttft", "itl", "tpot")
_FIGURES = ("p50", "p90", "p99")
_MS = 1e6


def tokens_said(row: Row) -> list[str]:
    """For one line on a case: the time to a first token, and tokens a second."""
    said = []
    ttft = (row.measures or {}).get("ttft")
    if ttft is not None and ttft.p99 is not None:
        said.append(f"TTFT p99 {number(ttft.p99)} ms")
    if row.tokens is not None and row.tokens.output_per_s is not None:
        said.append(f"{number(row.tokens.output_per_s)} output tokens/s")
    return said


def measured_of(row: Row) -> dict[str, MeasureEntry]:
    """The measures of a language model's case that have values, the response time among them, in
    the order of NAMES.
    """
    found = {name: each for name, each in (row.measures or {}).items() if each.count}
    if found and row.completed:
        found["response"] = _response(row)
    return {name: found[name] for name in NAMES if name in found}


def brief_table(cases: Sequence[NamedCase]) -> Table:
    """TTFT, ITL, TPOT and the whole request as p50, p90 and p99, each with half of its interval."""
    lines = []
    for case in cases[:MOST_SAID]:
        found = measured_of(case.row)
        brief = [name for name in _BRIEF if name in found]
        if not brief and "normalised" in found:
            brief = ["normalised"]
        for name in [*brief, "response"] if brief else []:
            entry = found[name]
            cells = [f"{_figure(entry, at)}{_half(entry, at)}" for at in _FIGURES]
            lines.append((case.name, NAMES[name], *cells))
    if len({line[0] for line in lines}) == 1:
        return Table(("", *(f"{at} ms" for at in _FIGURES)), tuple(line[1:] for line in lines))
    return Table(("case", "", *(f"{at} ms" for at in _FIGURES)), tuple(lines))


def measures_table(cases: Sequence[NamedCase]) -> Table:
    """Every measure of every case, with its unit and how many values it is of."""
    lines = [
        (
            case.name,
            f"{NAMES[name]}, {entry.unit}",
            number(entry.mean),
            *(f"{_figure(entry, at)}{_half(entry, at)}" for at in _FIGURES),
            number(entry.max),
            number(entry.count),
        )
        for case in cases
        for name, entry in measured_of(case.row).items()
    ]
    return Table(("case", "measure", "mean", "p50", "p90", "p99", "max", "values"), tuple(lines))


def server_times_table(cases: Sequence[NamedCase]) -> Table:
    """Medians that the server states in its answers, beside the client's of the same."""
    lines = [
        (case.name, name, *(number(each.get(at)) for at in ("server", "client", "difference")))
        for case in cases
        for name, each in (case.row.tokens.server_times if case.row.tokens else {}).items()
    ]
    return Table(("case", "time", "server ms", "client ms", "difference ms"), tuple(lines))


def token_facts(cases: Sequence[NamedCase]) -> Iterator[tuple[str, str]]:
    """(one of FACTS, text), a line for each case that has any; of several cases no more than their
    tokens and their goodput.
    """
    of_models = [case for case in cases if case.row.tokens is not None]
    for case in of_models[:MOST_SAID]:
        where = f"{case.name}: " if len(cases) > 1 else ""
        for name, text in _facts(case.row):
            if len(cases) == 1 or name in (TOKENS, GOODPUT):
                yield name, where + text
    if len(of_models) > MOST_SAID:
        yield TOKENS, f"of {counted(len(of_models) - MOST_SAID, 'more case')} in the result"


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    tokens = row.tokens
    assert tokens is not None
    rates = []
    if tokens.output_per_s is not None:
        rates.append(f"{number(tokens.output_per_s)} output tokens/s{_known(row)}")
    if tokens.peak_output_per_s is not None:
        rates.append(f"peak {number(tokens.peak_output_per_s)}/s")
    if tokens.output_per_s_of_user is not None:
        rates.append(f"{number(tokens.output_per_s_of_user)}/s of one user (median)")
    if tokens.input_per_s is not None:
        rates.append(f"{number(tokens.input_per_s)} input tokens/s")
    if rates:
        by = ", ".join(
            name if len(tokens.counted_by) == 1 else f"{name} ({number(count)})"
            for name, count in tokens.counted_by.items()
        )
        if tokens.differing:
            by += f"; the tokenizer counts {counted(tokens.differing, 'answer')} differently"
        yield TOKENS, ", ".join(rates) + (f"; counted by: {by}" if by else "")
    ended, failed = (
        ", ".join(f"{name} {number(count)}" for name, count in found.items() if count)
        for found in (tokens.outcomes, row.errors_by_kind)
    )
    if ended or failed:
        yield (
            OUTCOMES,
            "; failed: ".join(filter(None, (ended, failed))) if ended else f"failed: {failed}",
        )
    if row.good is not None and row.good.good is not None:
        yield GOODPUT, goodput_words(row)
    if tokens.client_us_per_event is not None:
        said = [f"{number(tokens.client_us_per_event)} us of CPU"]
        if tokens.client_us_per_stream is not None:
            said.append(f"{number(tokens.client_us_per_stream / 1e3)} ms a request")
        if tokens.reading_ms is not None:
            said.append(f"read after the run in {number(tokens.reading_ms)} ms")
        yield CLIENT, ", ".join(said)
    beside = [
        f"{name} {number(each.get('server'))} ms (client {number(each.get('client'))} ms)"
        for name, each in tokens.server_times.items()
    ]
    if beside:
        yield SERVER, ", ".join(beside) + ", medians"
    told = llm_server_words(row)
    if told:
        yield TOLD, told


def goodput_words(row: Row) -> str:
    """25 requests/s (± 6 %) keep ttft=200ms: 300 of 600."""
    good = row.good
    if good is None or good.good is None:
        return NOTHING
    known = ""
    if good.half_width is not None and good.good_per_s:
        known = f" (± {half_width(good.half_width / good.good_per_s)})"
    kept = f" keep {', '.join(good.goals)}" if good.goals else " keep every bound"
    of = (row.completed or 0) + (row.errors or 0)
    share = f" ({percent(good.good / of)})" if of else ""
    count = f"{number(good.good)} of {number(of)}"
    return f"{number(good.good_per_s)} requests/s{known}{kept}: {count}{share}"


def _known(row: Row) -> str:
    tokens = row.tokens
    if tokens is None or tokens.output_per_s_half_width is None or not tokens.output_per_s:
        return ""
    return f" (± {half_width(tokens.output_per_s_half_width / tokens.output_per_s)})"


def _response(row: Row) -> MeasureEntry:
    known = row.confidence
    halves = {
        name: found.half_width
        for name in ("p50", "p90", "p95", "p99", "p99_9")
        if known is not None and (found := getattr(known, f"{name}_ms")) is not None
    }
    return MeasureEntry(
        count=row.completed,
        mean=row.mean_ms,
        min=row.min_ms,
        p50=row.p50_ms,
        p90=row.p90_ms,
        p95=row.p95_ms,
        p99=row.p99_ms,
        p99_9=row.p99_9_ms,
        max=row.max_ms,
        half_widths={name: half for name, half in halves.items() if half is not None},
        histogram=row.histogram,
    )


def _figure(entry: MeasureEntry, at: str) -> str:
    return number(getattr(entry, at))


def _half(entry: MeasureEntry, at: str) -> str:
    value, half = getattr(entry, at), entry.half_widths.get(at)
    return "" if half is None or not value else f" ± {half_width(half / value)}"
