"""Are these machines fit to share a load: each of them is asked what it is like and how its clock
stands, and what differs between them is said, with what it does to a measurement.

Nothing is measured but clocks and round trips. What one machine does to a measurement by itself,
`qs doctor` finds there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TextIO

from qs.base.console import console, open_table
from qs.base.errors import UserError
from qs.base.visible import one_line
from qs.base.words import NS_PER_MS, counted, data_size, number, short_time
from qs.doctor.finding import OK, UNKNOWN, WARN, Finding
from qs.engine import ClockReading
from qs.engine.distributed import Nodes, NodesError, open_nodes
from qs.result.node_facts import ALIKE, listed, together, unlike
from qs.settings.nodes_asked import NodesAsked

KNOWN_MS = 1.0  # a clock that is known worse than this puts series out of place
FAR_MS = 50.0  # a round trip that is longer: a word to stop takes its time
OFF_S = 1.0  # of the time of day
QUIET_LOAD = 0.25  # of a load average, by core
LEAST_SHM = 256 << 20  # containers have 64 MB unless they are told otherwise
LEAST_FREE = 0.1
FILES = 1024
THREADS = "_NUM_THREADS"
MOST_SHOWN = 4
WIDTH = 160

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Looked:
    """One machine, as it was found."""

    name: str
    address: str
    facts: Facts = field(default_factory=dict)
    clock: ClockReading | None = None
    wall_off_s: float | None = None  # how far its time of day is ahead of this machine's
    lost: str = ""

    def to_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        plain["facts"] = dict(self.facts)
        return plain


async def look_at(
    asked: NodesAsked, say: Callable[[str], None], opened: Nodes | None = None
) -> list[Looked]:
    """Open the nodes, ask each of them, and let them go. Raises UserError where they cannot be had.

    opened   nodes to take in place of those that `asked` names
    """
    nodes = opened or open_nodes(asked.nodes, ray=asked.ray, say=say)
    try:
        async with nodes:
            own_ns = time.time_ns() - time.perf_counter_ns()
            return [
                _looked(*each, why=nodes.lost.get(at, ""), own_ns=own_ns)
                for at, each in enumerate(
                    zip(nodes.names, nodes.placed, nodes.facts, nodes.clocks, strict=True)
                )
            ]
    except NodesError as error:
        raise UserError(str(error)) from None


def _looked(
    name: str, placed: Any, facts: Facts, clock: ClockReading | None, why: str, own_ns: int
) -> Looked:
    wall, monotonic = _whole(facts, "wall_ns"), _whole(facts, "monotonic_ns")
    off_s = None
    if clock is not None and wall is not None and monotonic is not None:
        off_s = (wall - monotonic + clock.offset_ns - own_ns) / 1e9
    return Looked(name, placed.address, facts, clock, off_s, why)


def findings_of(machines: Sequence[Looked]) -> list[Finding]:
    """What was found, worst for a measurement first within each subject."""
    machines = [replace(each, name=one_line(each.name, 60)) for each in machines]
    living = [each for each in machines if not each.lost]
    return [
        _lost(machines),
        _one_each(living),
        *_alike(living),
        _variables(living),
        _clocks(living),
        _time_of_day(living),
        _round_trips(living),
        _load(living),
        _memory(living),
        _shm(living),
        _files(living),
    ]


def nodes_check(machines: Sequence[Looked], findings: Sequence[Finding]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "summary": sentence(machines, findings),
        "nodes": [each.to_dict() for each in machines],
        "findings": [each.to_dict() for each in findings],
    }


def sentence(machines: Sequence[Looked], findings: Sequence[Finding]) -> str:
    """Whether they are fit, or what is wrong."""
    warned = [f"{each.name}: {each.value}" for each in findings if each.status == WARN]
    return f"{counted(len(machines), 'node')}: " + ("; ".join(warned) or "no problem found")


def lines_of(machines: Sequence[Looked]) -> Iterator[list[str]]:
    """A table: the headings, then a line for each machine."""
    yield ["node", "address", "CPU", "cores", "load", "memory free", "/dev/shm", "clock", "trip"]
    for each in machines:
        facts, clock = each.facts, each.clock
        known = None if clock is None else f"± {number(clock.uncertainty_ns / NS_PER_MS, 2)} ms"
        trip = None if clock is None else f"{number(clock.least_round_trip_ns / NS_PER_MS, 2)} ms"
        yield [
            one_line(text, 40)
            for text in (
                each.name,
                each.address,
                each.lost and f"lost: {each.lost}" or facts.get("cpu_model") or "?",
                number(_real(facts, "cores")),
                number(_real(facts, "load_1m"), 2),
                _size(_real(facts, "free_memory_bytes")),
                _size(_real(facts, "shm_bytes")),
                known or "?",
                trip or "?",
            )
        ]


def print_machines(machines: Sequence[Looked], stream: TextIO) -> None:
    """A line for each machine."""
    from rich.text import Text

    heads, *lines = lines_of(machines)
    made = open_table("")
    for at, heading in enumerate(heads):
        made.add_column(heading, justify="left" if at < 3 else "right", no_wrap=True)
    for line in lines:
        made.add_row(*map(Text, line))
    console(stream, WIDTH).print(made)


def _lost(machines: Sequence[Looked]) -> Finding:
    lost = [each for each in machines if each.lost]
    if not lost:
        return Finding("nodes", OK, counted(len(machines), "node"))
    said = "; ".join(f"{each.name}: {one_line(each.lost, 200)}" for each in lost[:MOST_SHOWN])
    effect = "a run goes on without them, and says so"
    value = f"{counted(len(lost), 'node')} of {len(machines)} lost: {said}"
    return Finding("nodes", WARN, value, effect, "look at those machines, and at Ray's logs there")


def _one_each(machines: Sequence[Looked]) -> Finding:
    shared = together({each.name: each.facts for each in machines})
    if not shared:
        return Finding("machines", OK, "one for each node")
    said = "; ".join(listed(names) for names in shared[:MOST_SHOWN])
    effect = "they share its cores: this says nothing of what several machines would do"
    return Finding("machines", WARN, f"one machine for {said}", effect, "a node for each machine")


def _alike(machines: Sequence[Looked]) -> Iterator[Finding]:
    """Everything that differs, and one finding that says what is the same."""
    differing = unlike({each.name: each.facts for each in machines})
    variables = {name for each in machines for name in _variables_of(each.facts)}
    for what, having in differing.items():
        if what in variables:
            continue
        said = [f"{value} on {listed(names)}" for value, names in having.items()][:MOST_SHOWN]
        effect = "nodes differ in what moves numbers: the whole's percentiles mix theirs"
        fix = "machines of one kind: --nodes LABEL=VALUE takes those with a label"
        if what in _OF_SOFTWARE:
            fix = "the same version on every node"
        yield Finding(what, WARN, "; ".join(said), effect, fix, {"values": dict(having)})
    same = [name for name in (*ALIKE.values(), "qs", "numpy", "ray") if name not in differing]
    yield Finding("alike", OK, ", ".join(same))


_OF_SOFTWARE = ("Python", "Python's kind", "kernel", "qs", "numpy", "ray", "uvloop", "hdrhistogram")


def _variables_of(facts: Facts) -> dict[str, str]:
    found = facts.get("environment")
    if not isinstance(found, Mapping):
        return {}
    return {one_line(name, 60): one_line(value, 60) for name, value in found.items()}


def _variables(machines: Sequence[Looked]) -> Finding:
    """Variables that give libraries a number of threads, as a node's process has them."""
    having: dict[str, dict[str, list[str]]] = {}
    for each in machines:
        for name, value in _variables_of(each.facts).items():
            having.setdefault(name, {}).setdefault(value, []).append(each.name)
    count = len(machines)
    odd = {
        name: values
        for name, values in having.items()
        if len(values) > 1 or sum(map(len, values.values())) < count
    }
    said = [
        f"{name}={value}" + (f" on {listed(names)}" if name in odd else "")
        for name, values in having.items()
        for value, names in values.items()
    ]
    value = ", ".join(said[:MOST_SHOWN]) or "none set"
    if not odd:
        return Finding("thread variables", OK, value, figures=having)
    effect = "libraries use another number of threads on some nodes than on others"
    return Finding("thread variables", WARN, value, effect, "set them alike, or nowhere", having)


def _clocks(machines: Sequence[Looked]) -> Finding:
    known = {
        each.name: each.clock.uncertainty_ns / NS_PER_MS
        for each in machines
        if each.clock is not None
    }
    if not known:
        return Finding("clocks", UNKNOWN, "none was read")
    worst = max(known, key=lambda name: known[name])
    value = f"known to within {number(known[worst], 2)} ms ({worst} the worst)"
    if known[worst] <= KNOWN_MS:
        return Finding("clocks", OK, value, figures=known)
    effect = "series of nodes may be as much out of place, and so may the common start"
    fix = "a quieter network between this machine and the nodes"
    return Finding("clocks", WARN, value, effect, fix, known)


def _time_of_day(machines: Sequence[Looked]) -> Finding:
    off = {
        each.name: each.wall_off_s
        for each in machines
        if each.wall_off_s is not None and math.isfinite(each.wall_off_s)
    }
    if not off:
        return Finding("time of day", UNKNOWN, "not told")
    worst = max(off, key=lambda name: abs(off[name]))
    value = f"{short_time(abs(off[worst]) * 1e9)} off this machine's at most ({worst})"
    if abs(off[worst]) >= OFF_S:
        value = f"{number(off[worst], 3)} s off this machine's at most ({worst})"
    if abs(off[worst]) <= OFF_S:
        return Finding("time of day", OK, value, figures=off)
    effect = "nothing that is measured goes by it; times in logs cannot be laid side by side"
    return Finding("time of day", WARN, value, effect, "chrony or another NTP client there", off)


def _round_trips(machines: Sequence[Looked]) -> Finding:
    trips = {
        each.name: each.clock.least_round_trip_ns / NS_PER_MS
        for each in machines
        if each.clock is not None
    }
    if not trips:
        return Finding("round trips", UNKNOWN, "none was made")
    far = max(trips, key=lambda name: trips[name])
    value = f"{number(trips[far], 2)} ms at least to {far}, the farthest"
    if trips[far] <= FAR_MS:
        return Finding("round trips", OK, value, figures=trips)
    effect = "a word to begin or to stop takes as long; latencies are measured on the nodes"
    fix = "run qs on a machine of the cluster"
    return Finding("round trips", WARN, value, effect, fix, trips)


def _load(machines: Sequence[Looked]) -> Finding:
    loads = {each.name: _real(each.facts, "load_1m") for each in machines}
    known = {name: load for name, load in loads.items() if load is not None}
    busy = {
        each.name: known[each.name]
        for each in machines
        if each.name in known
        and known[each.name] > QUIET_LOAD * max(_real(each.facts, "cores") or 1.0, 1.0)
    }
    if not known:
        return Finding("other load", UNKNOWN, "not told")
    if not busy:
        return Finding("other load", OK, f"at most {number(max(known.values()), 2)}", figures=known)
    effect = "other programs take cores from what is measured"
    return Finding("other load", WARN, _each(busy), effect, "stop other programs there", known)


def _memory(machines: Sequence[Looked]) -> Finding:
    free = {each.name: _real(each.facts, "free_memory_bytes") for each in machines}
    known = {name: each for name, each in free.items() if each is not None}
    if not known:
        return Finding("memory", UNKNOWN, "not told")
    scarce = {
        each.name: known[each.name]
        for each in machines
        if each.name in known
        and known[each.name] < LEAST_FREE * (_real(each.facts, "memory_bytes") or 0.0)
    }
    if not scarce:
        return Finding("memory", OK, f"at least {data_size(min(known.values()))} free")
    effect = "Ray's memory monitor or the kernel ends what runs there"
    return Finding("memory", WARN, f"{_each(scarce, _size)} free", effect, "stop other programs")


def _shm(machines: Sequence[Looked]) -> Finding:
    sizes = {each.name: _real(each.facts, "shm_bytes") for each in machines}
    known = {name: size for name, size in sizes.items() if size is not None}
    if not known:
        return Finding("/dev/shm", UNKNOWN, "not told")
    small = {name: size for name, size in known.items() if size < LEAST_SHM}
    if not small:
        return Finding("/dev/shm", OK, f"at least {data_size(min(known.values()))}", figures=known)
    effect = "Ray keeps its objects on a disk then, and libraries that share memory fail"
    fix = "docker run --shm-size=2g; on Kubernetes an emptyDir of medium Memory at /dev/shm"
    return Finding("/dev/shm", WARN, _each(small, _size), effect, fix, known)


def _files(machines: Sequence[Looked]) -> Finding:
    limits = {each.name: _real(each.facts, "open_files") for each in machines}
    known = {name: limit for name, limit in limits.items() if limit is not None}
    if not known:
        return Finding("open files", UNKNOWN, "not told")
    few = {name: limit for name, limit in known.items() if 0 <= limit <= FILES}
    if not few:
        return Finding("open files", OK, f"at least {number(min(known.values()))}")
    effect = "a client with more connections than that fails"
    return Finding("open files", WARN, _each(few), effect, "ulimit -n 65536 before ray start")


def _each(values: Mapping[str, float], words: Callable[[float], str] | None = None) -> str:
    """b 3.2, c 4: those with the largest figures first."""
    said = [f"{name} {(words or number)(values[name])}" for name in list(values)[:MOST_SHOWN]]
    more = len(values) - len(said)
    return ", ".join([*said, *([f"and {more} more"] if more > 0 else [])])


def _size(value: float | None) -> str:
    return "?" if value is None else data_size(value)


def _real(facts: Facts, key: str) -> float | None:
    """A number that a machine told of itself, which may tell anything."""
    value = facts.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        figure = float(value)
    except OverflowError:
        return None
    return figure if math.isfinite(figure) else None


def _whole(facts: Facts, key: str) -> int | None:
    value = facts.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
