"""What machines say of themselves, side by side: in what they differ that moves numbers, in words.

Facts are as qs.engine.distributed.talking.facts names them. A machine may say anything, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qs.base.visible import one_line
from qs.base.words import data_size

LONGEST = 60  # characters of a value
MOST_NAMED, MOST_VALUES, MOST_KEYS = 3, 4, 40
ALIKE = {
    "cpu_model": "CPU",
    "cpus": "usable CPUs",
    "cores": "cores",
    "governor": "frequency governor",
    "memory_bytes": "memory",
    "kernel": "kernel",
    "python": "Python",
    "implementation": "Python's kind",
}
_OF_KINDS = ("versions", "environment")  # whose keys are facts of their own
MOST_BYTES = 1e18
_SAME_SIZE = 0.05  # by which share memory may differ: the kernel keeps some of it


def said(facts: Mapping[str, Any]) -> dict[str, str]:
    """Those facts that machines are compared by, in words."""
    found = {
        name: _word(key, facts[key]) for key, name in ALIKE.items() if facts.get(key) is not None
    }
    for kind in _OF_KINDS:
        each = facts.get(kind)
        if isinstance(each, Mapping):
            found |= {
                one_line(name, LONGEST): _word("", value)
                for name, value in list(each.items())[:MOST_KEYS]
                if value is not None
            }
    return found


def unlike(machines: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """What differs: fact -> value -> the machines that have it, the value of most of them first.
    A machine that does not say is not compared.
    """
    told = {name: said(facts) for name, facts in machines.items()}
    found: dict[str, dict[str, list[str]]] = {}
    for what in dict.fromkeys(what for facts in told.values() for what in facts):
        having: dict[str, list[str]] = {}
        for name, facts in told.items():
            if what in facts:
                having.setdefault(facts[what], []).append(name)
        if len(having) > 1 and not (what == ALIKE["memory_bytes"] and _about_one_size(machines)):
            found[what] = dict(sorted(having.items(), key=lambda each: -len(each[1])))
    return found


def unlike_words(machines: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """CPU: EPYC 7763 on a, b and 2 more; Xeon 8480 on c."""
    for what, having in unlike(machines).items():
        each = [f"{value} on {listed(names)}" for value, names in having.items()]
        more = len(each) - MOST_VALUES
        yield f"{what}: {'; '.join(each[:MOST_VALUES])}" + (f"; {more} more" if more > 0 else "")


def together(machines: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """The nodes that are one machine, for each machine of which there are several."""
    here: dict[str, list[str]] = {}
    for name, facts in machines.items():
        if facts.get("machine"):
            here.setdefault(str(facts["machine"]), []).append(name)
    return [names for names in here.values() if len(names) > 1]


def listed(names: Sequence[str]) -> str:
    """Some names in words: "a, b and c", "a, b, c and 4 more"."""
    few = list(names)
    if len(few) > MOST_NAMED + 1:
        few = [*few[:MOST_NAMED], f"{len(names) - MOST_NAMED} more"]
    return few[0] if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"


def _about_one_size(machines: Mapping[str, Mapping[str, Any]]) -> bool:
    sizes = [facts.get("memory_bytes") for facts in machines.values()]
    known = [float(each) for each in sizes if each is not None and _is_size(each)]
    return bool(known) and max(known) <= min(known) * (1 + _SAME_SIZE)


def _word(key: str, value: Any) -> str:
    if key.endswith("_bytes") and _is_size(value):
        return data_size(value)
    if key == "cpus" and isinstance(value, (list, tuple)):
        return str(len(value))
    return one_line(value, LONGEST)


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < MOST_BYTES
    )
