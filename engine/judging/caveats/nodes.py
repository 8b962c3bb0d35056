"""Caveats about a run over several nodes: whether they began together, are alike, and did alike."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence

from qs.engine.outcome import Doubt
from qs.engine.plan import RunPlan
from qs.engine.result import NodePart, RunResult
from qs.engine.ruling import Caveat
from qs.engine.words import number

# Of the requests above the highest percentile that is asked for, the share that may have waited for
# a node to begin; of a closed loop's time, the share that may be missing.
SKEW_SHARE, SKEW_OF_CLOSED = 0.1, 0.01
# Of an interval, by how much a node's series may be out of place.
CLOCK_SHARE = 0.1
# A node is slow if its median, or p99, is so many times that of the others; of so many requests.
SLOW_MEDIAN, SLOW_TAIL = 1.5, 2.0
MEDIAN_OF, TAIL_OF = 400, 3_000
# What nodes are held side by side by, from the facts that they tell of themselves.
ALIKE = {
    "cpu_model": "CPU",
    "cpus": "usable CPUs",
    "cores": "cores",
    "python": "Python",
    "implementation": "Python",
    "governor": "frequency governor",
}
THREADS = "_NUM_THREADS"
MOST_NAMED = 3


def start_skew(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Requests that fell due before their node began waited for it; clients that began late made
    none.
    """
    began = {
        part.name: part.start_skew_ns
        for part in result.nodes
        if part.start_skew_ns is not None and not part.replaces
    }
    if len(began) < 2 or result.wall_s <= 0:
        return None
    last = max(began, key=lambda name: began[name])
    apart_s = (began[last] - min(began.values())) / 1e9
    tail = 1 - max(plan.percentiles, default=99.0) / 100
    share = SKEW_SHARE * tail if result.open_loop else SKEW_OF_CLOSED
    if apart_s <= share * result.wall_s:
        return None
    how = "what fell due there before it began had to wait" if result.open_loop else "it made less"
    return Caveat(
        Doubt.START_SKEW,
        f"nodes began {number(1e3 * apart_s, 3)} ms apart, {named(last)} last: {how}",
        "measure for longer, or look for what kept its word to start: a busy machine, or a slow "
        "network between it and the driver",
    )


def clock(result: RunResult, plan: RunPlan) -> Caveat | None:
    length_s = max((row.length_s for row in result.intervals), default=0.0)
    wrong = {
        part.name: part.clock.uncertainty_ns
        for part in result.nodes
        if part.clock is not None and part.clock.uncertainty_ns > CLOCK_SHARE * length_s * 1e9
    }
    if not wrong or not length_s or len(result.nodes) < 2:
        return None
    worst = max(wrong, key=lambda name: wrong[name])
    return Caveat(
        Doubt.CLOCK,
        f"the clock of {named(worst)} is known to within {number(wrong[worst] / 1e6, 3)} ms only"
        + (f", and that of {len(wrong) - 1} more hardly better" if len(wrong) > 1 else "")
        + f": in intervals of {number(length_s, 3)} s its figures may be beside those of the "
        "others at the same time; latencies are not concerned",
        "look for what delays messages between it and the driver, or ask for longer intervals",
    )


def nodes_unlike(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Nodes differ in what moves numbers."""
    told = [(part.name, facts_of(part)) for part in result.nodes]
    differ = []
    for what in dict.fromkeys(what for _, facts in told for what in facts):
        having: dict[str, list[str]] = {}
        for name, facts in told:
            if what in facts:
                having.setdefault(facts[what], []).append(name)
        if len(having) > 1:
            each = (f"{value} on {listed(names)}" for value, names in _few(having.items()))
            more = len(having) - MOST_NAMED
            differ.append(f"{what}: {', '.join(each)}" + (f", {more} more" if more > 0 else ""))
    if not differ:
        return None
    more = len(differ) - MOST_NAMED
    return Caveat(
        Doubt.NODES_UNLIKE,
        "the nodes are not alike ("
        + "; ".join(_few(differ))
        + (f"; {more} more" * (more > 0))
        + "): the whole's percentiles are a mixture of theirs",
        "read the nodes one by one, or measure on machines of one kind",
    )


def nodes_together(result: RunResult, plan: RunPlan) -> Caveat | None:
    """Several nodes are processes on one machine."""
    here: dict[str, list[str]] = {}
    for part in result.nodes:
        machine = part.facts.get("machine")
        if machine:
            here.setdefault(str(machine), []).append(part.name)
    together = [names for names in here.values() if len(names) > 1]
    if not together:
        return None
    machines = " and ".join(listed(names) for names in _few(together))
    more = len(together) - MOST_NAMED
    return Caveat(
        Doubt.NODES_TOGETHER,
        f"{machines} are one machine{' each' if len(together) > 1 else ''}"
        + (f", and so are those of {more} machines more" if more > 0 else "")
        + ": they share its cores, so that this says nothing of what several machines would do",
        "give each node a machine of its own",
    )


def slow_node(result: RunResult, plan: RunPlan) -> Caveat | None:
    """One node's requests took much longer than those of the others."""
    worst: tuple[float, str, str] | None = None
    for percentile, least, times in ((50.0, MEDIAN_OF, SLOW_MEDIAN), (99.0, TAIL_OF, SLOW_TAIL)):
        took = {
            part.name: part.result.service.percentile_ns(percentile)
            for part in result.nodes
            if part.result is not None and part.result.service.count >= least
        }
        if len(took) < 2:
            continue
        slowest = max(took, key=lambda name: took[name])
        others = statistics.median(ns for name, ns in took.items() if name != slowest)
        ratio = took[slowest] / max(others, 1)
        if ratio >= times and (worst is None or ratio > worst[0]):
            what = "median" if percentile == 50 else f"p{percentile:g}"
            seen = (
                f"{what} {number(took[slowest] / 1e6, 3)} ms, and {number(others / 1e6, 3)} ms on "
                f"the other{'s' if len(took) > 2 else ''}"
            )
            worst = ratio, slowest, seen
    if worst is None:
        return None
    ratio, name, seen = worst
    return Caveat(
        Doubt.SLOW_NODE,
        f"requests of {named(name)} took {number(round(ratio, 1))} times as long as elsewhere "
        f"({seen}): the whole's percentiles are those of its requests and of the others'",
        "look at that node by itself: its machine, its network, the server that it asks",
    )


def facts_of(part: NodePart) -> dict[str, str]:
    """Those facts of a node that move numbers, in words; what it could not tell is missing."""
    facts = part.facts
    found = {name: _word(facts[key]) for key, name in ALIKE.items() if facts.get(key) is not None}
    if None not in (facts.get("implementation"), facts.get("python")):
        found["Python"] = f"{_word(facts['implementation'])} {_word(facts['python'])}"
    versions, variables = facts.get("versions"), facts.get("environment")
    if isinstance(versions, dict):
        found |= {_word(package): _word(versions[package]) for package in versions}
    if isinstance(variables, dict):
        threads = [name for name in variables if str(name).endswith(THREADS)]
        found |= {_word(name): _word(variables[name]) for name in threads}
    return found


def named(name: str) -> str:
    return f"node {name}"


def listed(names: Sequence[str]) -> str:
    """Some names in words: "a, b and c", "a, b, c and 4 more"."""
    few = [*names[:MOST_NAMED]]
    if len(names) > MOST_NAMED + 1:
        few.append(f"{len(names) - MOST_NAMED} more")
    else:
        few = [*names]
    return few[0] if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"


def _few(found: Iterable) -> Iterator:
    return (each for _, each in zip(range(MOST_NAMED), found))


def _word(value: object) -> str:
    """One line of at most 60 characters: a node may tell anything."""
    return " ".join(str(value).split())[:60]
