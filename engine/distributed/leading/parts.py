"""From what nodes did in one run to its result: a part for each, and the whole."""

from __future__ import annotations

from collections.abc import Sequence

from qs.engine.clock import FOREVER_NS, MONOTONIC
from qs.engine.distributed.leading.follower import Follower
from qs.engine.distributed.leading.losing import Ended
from qs.engine.distributed.leading.open_node import Node
from qs.engine.distributed.leading.watching import Whole
from qs.engine.distributed.results.checkpoints import part_from
from qs.engine.distributed.results.merging import merged_result
from qs.engine.distributed.splitting.shares import words_of
from qs.engine.plan import RunPlan
from qs.engine.result import ClockReading, NodePart, RunResult
from qs.engine.statistics.estimate import Confidence


def part_of(follower: Follower, plan: RunPlan, start_ns: int | None) -> NodePart:
    """What one node did, but for its result. `start_ns` is the common start; None: there was
    none.
    """
    node, update, kept = follower.node, follower.update, follower.kept
    skew_ns = lost_at_s = kept_until_s = None
    if start_ns is not None:
        if update is not None and update.began_ns:
            skew_ns = node.link.clock.to_driver(update.began_ns) - start_ns
        if follower.lost:
            lost_at_s = (follower.lost_at_ns - start_ns) / 1e9
            if kept is not None:
                kept_until_s = kept.elapsed_s
    return NodePart(
        name=node.name,
        address=node.placed.address,
        share=words_of(follower.share, plan),
        result=follower.result,
        clock=reading_of(node, start_ns),
        start_skew_ns=skew_ns,
        lost=follower.why,
        lost_at_s=lost_at_s,
        kept_until_s=kept_until_s,
        replaces="" if follower.replaces is None else follower.replaces.node.name,
        facts=node.link.facts,
        log=node.log,
    )


def reading_of(node: Node, at_ns: int | None) -> ClockReading | None:
    clock = node.link.clock
    if not clock.round_trips:
        return None
    return clock.reading(node.link.heard_ns if at_ns is None else at_ns)


def without_share(node: Node) -> NodePart:
    """A node that was lost before the run, which went over the others."""
    return NodePart(node.name, node.placed.address, "none", lost=node.lost)


def in_order(nodes: Sequence[Node], followers: Sequence[Follower]) -> list[Follower | Node]:
    """By node, each followed by those that took over its share; a node that had none as itself."""
    found: list[Follower | Node] = []
    firsts = {each.node: each for each in followers if each.replaces is None}
    heirs = {each.replaces: each for each in followers if each.replaces is not None}
    for node in nodes:
        follower = firsts.get(node)
        if follower is None:
            found.append(node)
        while follower is not None:
            found.append(follower)
            follower = heirs.get(follower)
    return found


def whole_result(
    plan: RunPlan,
    nodes: Sequence[Node],
    followers: Sequence[Follower],
    whole: Whole,
    *,
    start_ns: int | None,
    started_at: float,
    ended: Ended | None,
    stable: Confidence | None,
) -> RunResult:
    """The result of the whole, judged, with a part for each node."""
    end_ns = None if ended is None else ended.at_ns
    if start_ns is not None:
        until_s = ((FOREVER_NS if end_ns is None else end_ns) - start_ns) / 1e9
        heirs = {each.replaces: each.share for each in followers if each.replaces is not None}
        for each in followers:
            if each.lost:
                each.result = part_from(
                    each.share,
                    each.kept,
                    each.log,
                    each.why,
                    started_at=started_at,
                    until_s=until_s,
                    heir=heirs.get(each),
                    union=whole.union,
                )
    return merged_result(
        plan,
        [
            part_of(each, plan, start_ns) if isinstance(each, Follower) else without_share(each)
            for each in in_order(nodes, followers)
        ],
        start_ns=start_ns,
        started_at=started_at,
        ended_by=None if ended is None else ended.why,
        stopped_ns=end_ns,
        union=whole.union,
        stable=stable,
        now_ns=MONOTONIC.now_ns(),
    )
