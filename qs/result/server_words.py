"""A served model in words and tables: which server it was, its times beside the client's, and what
the client costs by itself. Every view takes these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qs.base.words import NOTHING, counted, number, percent
from qs.result.cases import NamedCase
from qs.result.load_words import NAMES as OF_LOAD
from qs.result.load_words import load_words
from qs.result.row import Row
from qs.result.server_entry import ClientEntry, MetricSeriesEntry, ServedEntry, ServerEntry

SERVER, BESIDE, CLIENT, CONNECTIONS = "server", "server beside client", "client", "connections"
LOAD = "load"
NAMES = (SERVER, BESIDE, CLIENT, CONNECTIONS, LOAD)  # of the facts
NOT_MEASURED = "not measured"
MOST_CASES = 2  # with words of their own; tables have them all
MOST_LISTED = 6
LATE_S = 1.0  # a reading is that much too late, or the last one too early
LEAST_SHARE = 0.005  # of the response time, of a part with words
# The parts of a request's time as the client stamps them.
STAMPED = {"wait": "waiting for a connection", "first_byte": "first byte", "transfer": "transfer"}
# How a counter's or a histogram's figures are to be read.
UNITS = {"gauge": "", "counter": "per s", "histogram": "mean"}


def server_facts(
    served: ServedEntry | None, cases: Sequence[NamedCase]
) -> Iterator[tuple[str, str]]:
    """(name, text): a line each; nothing of a model that is not served."""
    if served is not None:
        yield SERVER, served_words(served)
    client = (CLIENT, client_words), (CONNECTIONS, count_words), (LOAD, load_words)
    for name, words in ((BESIDE, beside_words), *client):
        said = [(case.name, text) for case in cases if (text := words(case.row))]
        if said:
            yield name, _by_case(said, len(cases))


def _by_case(said: Sequence[tuple[str, str]], of: int) -> str:
    """Each text once, with the cases it is of where there are several."""
    texts = dict.fromkeys(text for _, text in said)
    if of == 1 or len(texts) == 1 and len(said) == of:
        return next(iter(texts))
    shown = [f"{case}: {text}" for case, text in said[:MOST_CASES]]
    more = len(said) - len(shown)
    return "; ".join(shown) + (f"; and {counted(more, 'more case')}" if more > 0 else "")


def served_words(served: ServedEntry) -> str:
    """Which server, which model, and how it is spoken to."""
    who = " ".join(filter(None, (served.server, served.server_version))) or "unnamed server"
    said = [who + (f" at {served.address or served.url}" if served.address or served.url else "")]
    if served.model:
        version = f" version {served.model_version}" if served.model_version else ""
        platform = f" ({served.platform})" if served.platform else ""
        said.append(f"model {served.model}{version}{platform}")
    if served.instance_groups:
        listed = ", ".join(served.instance_groups[:MOST_LISTED])
        said.append(f"instance groups {listed}")
    if served.protocol:
        tensors = f" with {served.tensors} tensors" if served.tensors else ""
        said.append(f"{served.protocol}{tensors}")
    said.append(f"compression {served.compression or 'off'}")
    said.append(served.tls or "no TLS")
    if served.header_names:
        said.append(f"headers {', '.join(served.header_names[:MOST_LISTED])}")
    return "; ".join(said)


def beside_words(row: Row) -> str:
    """The mean response time in its parts."""
    server = row.server
    if server is None:
        return ""
    if not server.parts:
        stamped = [
            f"{STAMPED[name]} {number(each.p50_ms)} ms"
            for name, each in (row.parts or {}).items()
            if name in STAMPED and each.p50_ms
        ]
        client = f"as the client stamped it (p50): {', '.join(stamped)}" if stamped else ""
        if row.tokens is not None:  # an API of language models tells no parts, and none are missed
            return client
        return "; ".join(filter(None, (f"{NOT_MEASURED}: {why_not(server)}", client)))
    said = [
        f"{part.name} {number(part.mean_ms)} ms ({percent(part.share or 0.0)})"
        for part in server.parts
        if part.mean_ms and (part.share or 0.0) >= LEAST_SHARE
    ]
    text = f"of {number(row.mean_ms)} ms on average: {', '.join(said)}"
    found = server.statistics
    if found is not None and found.mean_batch_size:
        text += f"; batches of {number(found.mean_batch_size)} on average"
    if found is not None and found.cache_hits:
        text += f"; {number(found.cache_hits)} answers from the cache"
    return text


def why_not(server: ServerEntry) -> str:
    """Why the response time is not split."""
    return server.not_split or server.no_statistics or "nothing was read"


def client_words(row: Row) -> str:
    """What the client costs by itself."""
    client = row.client
    if client is None:
        return ""
    if client.not_measured:
        return f"its own limit is {NOT_MEASURED}: {client.not_measured}"
    said = []
    if client.limit_per_s is not None:
        processes = counted(client.processes or 1, "process").replace("processs", "processes")
        used = client.share_of_limit
        share = "" if used is None else f", of which this case has {percent(used)}"
        said.append(f"at most {number(client.limit_per_s, 3)} requests/s from {processes}{share}")
    if client.p50_ms is not None:
        own = client.share_of_response
        of = "" if own is None else f", {percent(min(own, 1.0))} of the median response time"
        us, how = number(client.p50_ms * 1e3, 3), f" ({client.note})" if client.note else ""
        said.append(f"{us} us a round trip to a server that does nothing{how}{of}")
    if client.cpu_us_per_event is not None:
        said.append(f"{number(client.cpu_us_per_event)} us of CPU an event that arrives alone")
    return "; ".join(said)


def count_words(row: Row) -> str:
    """What became of connections, as the client counts it; of what never happened only that none
    was opened while measuring.
    """
    return ", ".join(
        f"{number(value)} {'opened' if name == 'connections' else name}"
        for name, value in (row.counts or {}).items()
        if (value or name in ("connections", "opened while measuring")) and name not in OF_LOAD
    )


@dataclass(frozen=True)
class Table:
    """A table for people; of figures the value to sort by is lost."""

    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.lines)


def parts_table(cases: Sequence[NamedCase]) -> Table:
    """Mean response time and its parts, a line for each case whose server counted."""
    split = [case for case in cases if case.row.server and case.row.server.parts]
    names = list(
        dict.fromkeys(
            part.name
            for case in split
            for part in (case.row.server.parts if case.row.server else [])
        )
    )
    lines = []
    for case in split:
        server = case.row.server
        assert server is not None
        known = {part.name: part.mean_ms for part in server.parts}
        found = server.statistics
        batch = found.mean_batch_size if found else None
        lines.append(
            (
                case.name,
                number(case.row.p50_ms),
                number(case.row.mean_ms),
                *(number(known[name]) if name in known else "0" for name in names),
                number(batch),
            )
        )
    headings = ("case", "p50 ms", "mean ms", *(f"{name} ms" for name in names), "batch size")
    return Table(headings, tuple(lines))


def stamped_table(cases: Sequence[NamedCase]) -> Table:
    """The client's own stamps: percentiles of each part of a request's time."""
    lines = [
        (
            case.name,
            STAMPED.get(name, name.replace("_", " ")),
            *(number(value) for value in (each.mean_ms, each.p50_ms, each.p90_ms, each.p99_ms)),
            number(each.max_ms),
        )
        for case in cases
        for name, each in (case.row.parts or {}).items()
    ]
    return Table(("case", "part", "mean ms", "p50 ms", "p90 ms", "p99 ms", "max ms"), tuple(lines))


def batches_table(cases: Sequence[NamedCase]) -> Table:
    """What the server counted, the batch sizes that it formed, and its cache if it was used."""
    known = [
        (case.name, case.row.server.statistics)
        for case in cases
        if case.row.server and case.row.server.statistics
    ]
    cached = any(found.cache_hits or found.cache_misses for _, found in known)
    lines = []
    for name, found in known:
        runs = sum(found.batch_sizes.values())
        sizes = ", ".join(
            f"{size} ({percent(made / runs)})" for size, made in found.batch_sizes.items()
        )
        counts = [found.requests, found.failed, found.items, found.executions, found.restarts]
        counts += [found.cache_hits, found.cache_misses] if cached else []
        lines.append((name, *map(number, counts), sizes or NOTHING))
    headings = ["case", "requests", "failed", "items", "executions", "restarts"]
    headings += ["cache hits", "cache misses"] if cached else []
    return Table((*headings, "batch sizes formed"), tuple(lines))


def metrics_table(cases: Sequence[NamedCase], most: int = 500) -> Table:
    """The chosen metrics: gauges as they are, counters as rates, histograms as means."""
    lines = [
        (
            case.name,
            metric_name(each),
            f"{each.kind}, {UNITS[each.kind]}" if UNITS.get(each.kind) else each.kind,
            *(number(value) for value in (each.mean, each.least, each.most, each.first, each.last)),
        )
        for case in cases
        if case.row.server
        for each in case.row.server.metrics
    ]
    headings = ("case", "metric", "kind", "mean", "least", "most", "before", "after")
    return Table(headings, tuple(lines[:most]))


def metric_name(series: MetricSeriesEntry) -> str:
    """As it would be asked for: name{label="value"}."""
    labels = ",".join(f'{name}="{value}"' for name, value in series.labels.items())
    return f"{series.name}{{{labels}}}" if labels else series.name


def notes_of(cases: Sequence[NamedCase]) -> list[str]:
    """What could not be read or told, each once, with what reading cost."""
    said: dict[str, None] = {}
    for case in cases:
        server = case.row.server
        if server is None:
            continue
        untold = () if case.row.tokens is not None else (server.no_statistics, server.not_split)
        for text in (*untold, server.no_metrics, *server.faults):
            if text:
                said[text] = None
        if server.to_s is not None and case.row.wall_s:
            begins, ends = float(server.from_s or 0.0), float(server.to_s)
            if begins > LATE_S or ends < float(case.row.wall_s) - LATE_S:
                said[
                    f"{case.name}: the server was read from {number(begins)} s to {number(ends)} s "
                    f"of {number(case.row.wall_s)} s: its figures are of that time"
                ] = None
        if server.series_left_out:
            said[f"{counted(server.series_left_out, 'more series')} of the metrics left out"] = None
    return list(said)


def client_table(cases: Sequence[NamedCase]) -> Table:
    """The client's own limit beside what the case had."""
    known = [(case.name, case.row.client) for case in cases if case.row.client]
    streams = any(client.cpu_us_per_event is not None for _, client in known)
    headings = (
        "case",
        "client's limit/s",
        "of it used",
        "CPU us a request",
        *(("CPU us an event alone", "its limit of events/s") if streams else ()),
        "us to a server that does nothing (p50)",
        "of the response time",
        "measured",
    )
    return Table(headings, tuple(_client_line(name, client, streams) for name, client in known))


def _client_line(name: str, client: ClientEntry, streams: bool) -> tuple[str, ...]:
    def share(value: float | int | None) -> str:
        return NOTHING if value is None else percent(value)

    how = f"{number(client.in_flight)} in flight" if client.in_flight else client.note or ""
    return (
        name,
        number(client.limit_per_s, 3),
        share(client.share_of_limit),
        number(client.cpu_us),
        *((number(client.cpu_us_per_event), number(client.events_per_s, 3)) if streams else ()),
        number(None if client.p50_ms is None else client.p50_ms * 1e3),
        share(client.share_of_response),
        f"not: {client.not_measured}" if client.not_measured else how,
    )
