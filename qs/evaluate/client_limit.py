"""What the client costs by itself: the requests of a case, from the processes that will make them,
to a server on this machine that does nothing. Measured for a moment before a case, as the engine's
own cost is, and remembered.

    limit = processes / (CPU time of the client per request)

CPU, because the server that does nothing may be slower than several processes of the client. That
limit is what the client could do on free cores; it says nothing of the network.

A stream is measured twice: all its events at once, which is the least that it can cost, and event
by event, which is the most. What a case's own streams cost is read off the case itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qs.base.errors import UserError
from qs.base.storable import text
from qs.base.words import counted, number, percent
from qs.engine import ClosedLoop, HostError, PlanError, Poisson, RunPlan, RunResult, Stop, run_async
from qs.engine.machine import usable_cores
from qs.evaluate.failures import BackendFailed
from qs.evaluate.said import RealAnswer
from qs.evaluate.testbed import Testbed
from qs.remote.null_server import (
    NoNullServer,
    events_of,
    http_answer,
    null_server,
    null_stream,
)
from qs.result.row import Row
from qs.result.server_entry import ClientEntry
from qs.result.verdict import DoubtEntry
from qs.settings.case import Case
from qs.settings.run_plan import plan_of

NS_PER_MS, US_PER_S = 1e6, 1e6
SHARE_OF_RUN = 0.05
SHORTEST_S, LONGEST_S = 0.2, 0.5
BUILD_S = 60.0  # starting processes and opening connections
LIMIT_S = 5.0  # of one request to a server that does nothing
WARM_UP, WARM_UP_S = 20, 0.05  # requests a worker, and at least so long
OPEN_CLIENTS = 64  # whose requests are in flight where the client's highest rate is looked for
# A Poisson process below this rate brings too few requests in so short a time.
LEAST_PER_S = 300.0
BOUND = 0.8
MOST_FAILED = 0.01
MOST_ANSWER = 32 << 20  # bytes that are sent again and again
# Streams whose events arrive alone: so many at a time, events of each, and events a second over all
# of them, which a server in Python sends without being late.
LEAST_STREAMS, MOST_STREAMS, MOST_EVENTS, PACED_PER_S = 16, 64, 50, 8_000.0
LEAST_PACE_S = 0.002
ENDING = 3  # events that end an answer: why, the usage, and the end itself


@dataclass(frozen=True)
class _Null:
    """One run against a server that does nothing."""

    rate_per_s: float
    cpu_s: float | None  # a request
    processes: int
    requests: int
    p50_ms: float | None
    p99_ms: float | None

    @classmethod
    def of(cls, result: RunResult) -> _Null:
        groups = () if result.cpu is None else result.cpu.groups
        cpu_s = sum(group.cpu_s for group in groups)
        p50, p99 = (result.response.reported_ns(at) for at in (50.0, 99.0))
        each = result.samples_per_query or 1  # a query may be several requests
        requests = result.completed * each
        return cls(
            result.queries_per_s * each,
            cpu_s / requests if cpu_s and requests else None,
            max(len(groups), 1),
            requests,
            None if p50 is None else p50 / NS_PER_MS,
            None if p99 is None else p99 / NS_PER_MS,
        )


async def client_limit(
    testbed: Testbed, case: Case, samples: Mapping[str, Any] | None
) -> ClientEntry | None:
    """The client's limit in this case's layout, measured once for each layout and each size of
    requests and answers; None where none is to be. Never raises for what goes wrong: the entry says
    why there is no limit.
    """
    if testbed.served is None:
        return None
    if not testbed.settings.calibrate.value:  # a trial of a search, after others of that layout
        return _known_limit(testbed, case)
    try:
        return await _limit(testbed, case, samples)
    except BackendFailed as failure:
        if failure.lost_host:
            await testbed.backend.drop()
        return ClientEntry(not_measured=text(failure.said))
    except (HostError, PlanError, NoNullServer, UserError, OSError) as error:
        return ClientEntry(not_measured=text(str(error)))


async def _limit(testbed: Testbed, case: Case, samples: Mapping[str, Any] | None) -> ClientEntry:
    assert testbed.served is not None
    known = testbed.client_costs
    size: tuple[Any, ...] = (case.requested_batch_size, case.shared_by)
    if size not in known:
        known[size] = await testbed.backend.real_answer(case.batch_size, samples)
    answer: RealAnswer = known[size]
    if answer.body is None:
        return ClientEntry(not_measured=answer.why)
    if len(answer.body) > MOST_ANSWER:
        return ClientEntry(not_measured=f"an answer has {number(len(answer.body))} bytes")
    plan = plan_of(case, testbed.settings, testbed.backend.limits)
    load = closed_load(plan, testbed.served.asked.connections)
    paced = paced_load(plan)
    layout = (plan.pool, plan.samples_per_query, load, paced)
    key = (*layout, answer.request_bytes, len(answer.body))
    if key not in known:
        known[key] = await _measured(testbed, case, samples, answer, (plan, load, paced))
        known[_processes_of(plan, size)] = known[key]
    found: ClientEntry = known[key]
    return found


def _processes_of(plan: RunPlan, size: tuple[Any, ...]) -> tuple[Any, ...]:
    """What the highest rate depends on, whatever the load."""
    return "limit", plan.pool.kind, plan.pool.workers, plan.pool.instances, *size


def _known_limit(testbed: Testbed, case: Case) -> ClientEntry | None:
    """The highest rate of such processes, if it was measured before; the round trip depends on the
    load, and is not known.
    """
    plan = plan_of(case, testbed.settings, testbed.backend.limits)
    size = (case.requested_batch_size, case.shared_by)
    found: ClientEntry | None = testbed.client_costs.get(_processes_of(plan, size))
    if found is None:
        return None
    return found.changed(p50_ms=None, p99_ms=None, in_flight=None, note="measured with other load")


def closed_load(plan: RunPlan, connections: int | None) -> ClosedLoop:
    """The case's own clients, without their pauses; in open loop as many as keep it busy."""
    if isinstance(plan.load, ClosedLoop):
        return ClosedLoop(plan.load.clients)
    most = min(plan.pool.max_in_flight or OPEN_CLIENTS, connections or OPEN_CLIENTS)
    return ClosedLoop(max(min(OPEN_CLIENTS, most), plan.pool.workers or 1))


def paced_load(plan: RunPlan) -> Poisson | None:
    """Arrivals like those of an open loop that has one rate; None: of any other load."""
    rate_per_s = getattr(plan.load, "rate_per_s", None)
    if not plan.open_loop or not rate_per_s:
        return None
    return Poisson(max(float(rate_per_s), LEAST_PER_S), 0)


def budget_s(plan: RunPlan) -> float:
    """How long one such run may take: a small share of the case's length, if that is known."""
    lengths = [
        length for length in (plan.stop.duration_s, plan.stop.max_duration_s) if length is not None
    ]
    if not lengths:
        return LONGEST_S
    return min(max(min(lengths) * SHARE_OF_RUN, SHORTEST_S), LONGEST_S)


async def _measured(
    testbed: Testbed,
    case: Case,
    samples: Mapping[str, Any] | None,
    answer: RealAnswer,
    plans: tuple[RunPlan, ClosedLoop, Poisson | None],
) -> ClientEntry:
    assert testbed.served is not None and answer.body is not None
    plan, load, paced = plans
    asked = testbed.served.asked
    transport = asked.address().transport
    streamed = asked.llm is not None and asked.llm.stream
    events = events_of(answer.body) if streamed else []
    if streamed:
        server = null_stream(answer.head, events)
    else:
        answered = http_answer(answer.head, answer.body) if transport == "http" else answer.body
        server = null_server(transport, answered)
    port = await asyncio.to_thread(server.__enter__)
    try:
        target = await testbed.backend.target(case, samples, null_port=port)

        async def run(load: ClosedLoop | Poisson) -> RunResult:
            with testbed.interrupt.gently() as interrupt:
                return await run_async(null_plan(plan, load), target, interrupt=interrupt)

        result = await run(load)
        if result.errors > MOST_FAILED * result.completed:
            kinds = ", ".join(result.errors_by_kind) or "none was answered"
            return ClientEntry(
                not_measured=f"requests to a server that does nothing failed: {kinds}"
            )
        free = _Null.of(result)
        if not free.requests:
            return ClientEntry(not_measured="the run ended before a request was answered")
        limit = _limit_per_s(free)
        near, note = free, None
        if plan.open_loop:
            note = f"round trips with {load.clients} in flight"
            if paced is not None and (limit is None or paced.rate_per_s < BOUND * limit):
                near, note = _Null.of(await run(paced)), f"at {number(paced.rate_per_s, 3)}/s"
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)
    lone_us = None
    if events:
        lone_us = await _lone_us(testbed, case, samples, answer.head, events, plan)
    return ClientEntry(
        cpu_us_per_event=lone_us,
        events_per_s=_cores(free.processes) * US_PER_S / lone_us if lone_us else None,
        limit_per_s=limit,
        rate_per_s=free.rate_per_s,
        cpu_us=None if free.cpu_s is None else free.cpu_s * US_PER_S,
        p50_ms=near.p50_ms,
        p99_ms=near.p99_ms,
        in_flight=load.clients if near is free else None,
        processes=free.processes,
        requests=free.requests + (near.requests if near is not free else 0),
        request_bytes=answer.request_bytes,
        answer_bytes=len(answer.body),
        note=note,
    )


def shortened(events: Sequence[bytes]) -> list[bytes]:
    """The first of many events, and the last ones, without which an answer has no end."""
    if len(events) <= MOST_EVENTS:
        return list(events)
    return [*events[: MOST_EVENTS - ENDING], *events[-ENDING:]]


async def _lone_us(
    testbed: Testbed,
    case: Case,
    samples: Mapping[str, Any] | None,
    head: bytes,
    events: Sequence[bytes],
    plan: RunPlan,
) -> float | None:
    """CPU time of the client for an event that arrives alone, in us; None if none could be
    measured.
    """
    load = plan.load if isinstance(plan.load, ClosedLoop) else ClosedLoop(MOST_STREAMS)
    streams = min(max(load.clients, LEAST_STREAMS), MOST_STREAMS)
    few = shortened(events)
    server = null_stream(head, few, max(LEAST_PACE_S, streams / PACED_PER_S))
    port = await asyncio.to_thread(server.__enter__)
    try:
        target = await testbed.backend.target(case, samples, null_port=port)
        with testbed.interrupt.gently() as interrupt:
            result = await run_async(
                null_plan(plan, ClosedLoop(streams)), target, interrupt=interrupt
            )
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)
    found = _Null.of(result)
    if found.cpu_s is None or result.errors > MOST_FAILED * result.completed:
        return None
    return found.cpu_s * US_PER_S / len(few)


def null_plan(plan: RunPlan, load: ClosedLoop | Poisson) -> RunPlan:
    """The case's layout under this load, for a moment."""
    return replace(
        plan,
        load=load,
        stop=Stop(duration_s=budget_s(plan)),
        warmup_iterations=WARM_UP,
        warmup_s=WARM_UP_S,
        timeout_s=min(plan.timeout_s, LIMIT_S),
        drain_s=LIMIT_S,
        build_timeout_s=min(plan.build_timeout_s, BUILD_S),
        percentiles=(50.0,),
        calibrate=False,
        max_backlog=None,
        parts=(),
        measures=(),
        bounds=(),
        sample_requests=0,
        scenario=None,
    )


def _limit_per_s(free: _Null) -> float | None:
    """As many processes as there are cores to run them on."""
    if free.cpu_s is None:
        return None
    return _cores(free.processes) / free.cpu_s


def _cores(processes: int) -> float:
    """Those that so many processes can have at a time."""
    return max(min(processes, usable_cores()), 1.0)


def with_client(row: Row, client: ClientEntry | None) -> Row:
    """The row with what the client costs beside it, and the doubt that the client, and not the
    server, was measured.
    """
    if client is None:
        return row
    # Requests, answered or due: an open loop that is overloaded was to make them all.
    rate = max(float(row.queries_per_s or 0.0), float(row.offered_per_s or 0.0))
    rate *= row.samples_per_query or 1
    limit, p50 = client.limit_per_s, client.p50_ms
    used = rate / limit if limit and rate else None
    processes = client.processes or 1
    busy = _busy(row, processes)
    entry = client.changed(
        share_of_limit=used,
        share_of_response=p50 / row.p50_ms if p50 is not None and row.p50_ms else None,
        share_of_cores=busy,
    )
    row = row.changed(client=entry)
    if busy is not None and busy >= BOUND:
        said = _streams_words(row, busy, processes)
    elif used is not None and limit is not None and used >= BOUND:
        said = (
            f"{number(rate, 3)} requests/s are {percent(used)} of the {number(limit, 3)} that this "
            f"client can make from {counted(processes, 'core')}, at {number(client.cpu_us, 3)} us "
            "of CPU each"
        )
    else:
        return row
    said += ": the client may be what was measured, and not the server"
    cores = int(usable_cores())
    more = min(2 * processes, cores)
    cure = f"--pool async --workers {more}"
    if more <= processes:
        cure = "run the client on a machine with more cores"
    return row.doubted(DoubtEntry(code="client_bound", text=said, cure=cure))


def _busy(row: Row, processes: int) -> float | None:
    """The share of its cores that the client used for the events of streams, by the CPU time that
    they took in the case itself; None where no streams were measured.
    """
    tokens = row.tokens
    if tokens is None or not tokens.streamed or not tokens.client_us_per_stream:
        return None
    per_s = float(row.queries_per_s or 0.0) * (row.samples_per_query or 1)
    return per_s * tokens.client_us_per_stream / US_PER_S / _cores(processes)


def _streams_words(row: Row, busy: float, processes: int) -> str:
    tokens = row.tokens
    assert tokens is not None
    events = (tokens.events or 0) / max(row.completed or 1, 1) * float(row.queries_per_s or 0.0)
    return (
        f"{number(events, 3)} events/s, at {number(tokens.client_us_per_event, 3)} us of CPU each, "
        f"kept the client busy for {percent(busy)} of {counted(processes, 'core')}"
    )
