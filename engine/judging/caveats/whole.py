"""The caveats of a run over several nodes: those about numbers hold for the whole's numbers, those
about a machine are what the nodes found out about theirs.
"""

from __future__ import annotations

from dataclasses import replace

from qs.engine.judging.caveats import RULES, caveats_of
from qs.engine.judging.caveats.load import throughput_drift
from qs.engine.judging.caveats.machine import other_load
from qs.engine.judging.caveats.nodes import MOST_NAMED, listed
from qs.engine.outcome import Doubt
from qs.engine.plan import RunPlan
from qs.engine.result import NodePart, RunResult
from qs.engine.ruling import Caveat

# What is told by the node that it is about. The whole's own figures would hide it: a sum over many
# machines says of none that it was busy.
OF_A_MACHINE = frozenset(
    (
        Doubt.ENGINE_BOUND,
        Doubt.GIL_BOUND,
        Doubt.LOOP_BOUND,
        Doubt.COLLECTOR,
        Doubt.WRITTEN,
        Doubt.LATE_ISSUE,
        Doubt.ENGINE_COST,
        Doubt.STEAL,
        Doubt.OTHER_LOAD,
        Doubt.THROTTLED,
        Doubt.PREEMPTED,
    )
)
# What the whole is asked first, and then its nodes: one that falls behind is lost among many.
OF_EITHER = frozenset((Doubt.OVERLOAD, Doubt.DRIFT))


def caveats_of_whole(result: RunResult, plan: RunPlan) -> list[Caveat]:
    """All that apply to a merged result, whose `nodes` have been judged by themselves; the gravest
    first, each once.
    """
    found = {
        caveat.code: caveat
        for caveat in caveats_of(result, plan)
        if caveat.code not in OF_A_MACHINE
    }
    by_nodes: dict[Doubt, list[tuple[str, Caveat]]] = {}
    of_others = _other_load_of_machines(result, plan)
    for part in result.nodes:
        for caveat in [] if part.result is None else part.result.caveats:
            if part.lost and caveat.code is Doubt.OVERLOAD:
                continue  # by what it was still to make
            seen = of_others.get(part.name, caveat) if caveat.code is Doubt.OTHER_LOAD else caveat
            if seen is not None and (seen.code in OF_A_MACHINE or seen.code in OF_EITHER):
                by_nodes.setdefault(seen.code, []).append((part.name, seen))
    measured = sum(part.result is not None for part in result.nodes)
    for code, told in by_nodes.items():
        found.setdefault(code, _of_nodes(told, measured))
    order = {rule.__name__: place for place, rule in enumerate(RULES)}
    return sorted(found.values(), key=lambda each: order[_RULE.get(each.code, str(each.code))])


def _other_load_of_machines(result: RunResult, plan: RunPlan) -> dict[str, Caveat | None]:
    """By the names of nodes that are one machine: what is to be said of other programs there, among
    which its other nodes are not.
    """
    machines: dict[str, list[NodePart]] = {}
    for part in result.nodes:
        if part.result is not None and part.result.cpu is not None and part.facts.get("machine"):
            machines.setdefault(str(part.facts["machine"]), []).append(part)
    found: dict[str, Caveat | None] = {}
    for parts in machines.values():
        runs = [(part.result, part.result.cpu) for part in parts if part.result is not None]
        one, cpu = runs[0]
        used_s = [use.run_s for _, use in runs if use is not None and use.run_s is not None]
        if len(parts) > 1 and cpu is not None and len(used_s) == len(parts):
            together = replace(one, cpu=replace(cpu, run_s=sum(used_s)))
            found |= dict.fromkeys((part.name for part in parts), other_load(together, plan))
    return found


# The rule is called as its code, but for one.
_RULE = {Doubt.DRIFT: throughput_drift.__name__}


def _of_nodes(told: list[tuple[str, Caveat]], measured: int) -> Caveat:
    """One caveat of several nodes, which all have the same code."""
    (name, first), others = told[0], told[1:]
    if not others:
        return Caveat(first.code, f"{name}: {first.text}", first.advice)
    whole = len(told) == measured
    where = f"on all {measured} nodes" if whole else f"on {listed([name for name, _ in told])}"
    if all(caveat.text == first.text for _, caveat in others):
        text = f"{where}: {first.text}"
    elif whole or len(told) > MOST_NAMED:
        text = f"{where}, such as {name}: {first.text}"
    else:
        text = "; ".join(f"{each}: {caveat.text}" for each, caveat in told)
    return Caveat(first.code, text, first.advice)
