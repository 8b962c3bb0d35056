"""The nodes of a case in flight in words: how many measure, which were lost, which are silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qs.base.visible import one_line
from qs.base.words import number, rate, span
from qs.watch.progress import PHASES

if TYPE_CHECKING:
    from qs.engine import NodeProgress, Progress

STARTING, LOST = "starting", "lost"
SILENT_S = 2.0  # nothing was heard of it for so long: a progress comes five times a second
MOST_NAMED, LONGEST = 4, 40
NS_PER_MS = 1e6


def phase_word(node: NodeProgress) -> str:
    """What it does; "lost", or for how long it is silent."""
    if node.phase != LOST and node.silent_s >= SILENT_S:
        return f"silent for {span(node.silent_s)}"
    return PHASES.get(node.phase, node.phase)


def name_of(node: NodeProgress, most: int = LONGEST) -> str:
    """Its name as it may be shown."""
    return one_line(node.name, most)


def standing_out(nodes: Sequence[NodeProgress], most: int) -> list[NodeProgress]:
    """All of them in their order, or of more than `most` those that stand out: lost, silent, with
    the highest p99.
    """
    if len(nodes) <= most:
        return list(nodes)
    return sorted(
        nodes,
        key=lambda node: (node.phase != LOST, node.silent_s < SILENT_S, -(node.p99_ns or 0)),
    )[:most]


def summary(nodes: Sequence[NodeProgress]) -> str:
    """3 nodes: 2 measuring, 1 lost (b)."""
    counts = Counter(PHASES.get(node.phase, node.phase) for node in nodes if node.phase != LOST)
    said = [f"{number(count)} {phase}" for phase, count in counts.items()]
    for word, found in (
        (LOST, [node for node in nodes if node.phase == LOST]),
        ("silent", [node for node in nodes if _silent(node)]),
    ):
        if found:
            said.append(f"{number(len(found))} {word} ({_listed(found)})")
    noun = "node" if len(nodes) == 1 else "nodes"
    return f"{number(len(nodes))} {noun}: {', '.join(said)}"


def figures(node: NodeProgress) -> str:
    """1,014/s, p99 4.2 ms, 3 errors."""
    said = [f"{rate(node.now_per_s)}/s"]
    if node.p99_ns:
        said.append(f"p99 {number(node.p99_ns / NS_PER_MS)} ms")
    if node.errors:
        said.append(f"{number(node.errors)} errors")
    return ", ".join(said)


class Losses:
    """Notices nodes that are lost, each once."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def see(self, progress: Progress) -> list[str]:
        """A sentence for each that was lost since the last look."""
        lost = {node.name: node for node in progress.nodes if node.phase == LOST}
        new = [node for name, node in lost.items() if name not in self._known]
        self._known |= lost.keys()
        return [f"node {name_of(node)} was lost" for node in new]


def _silent(node: NodeProgress) -> bool:
    return node.phase != LOST and node.silent_s >= SILENT_S


def _listed(nodes: Sequence[NodeProgress]) -> str:
    names = [name_of(node) for node in nodes[:MOST_NAMED]]
    more = len(nodes) - len(names)
    return ", ".join([*names, *([f"{more} more"] if more > 0 else [])])
