"""What an ONNX graph says of its inputs beyond their types: which of them choose a branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Nodes that hand one condition on, or make one of several; a mask that is reduced is data.
_LOGIC = {
    *("Identity", "Cast", "Not", "And", "Or", "Xor", "Equal"),
    *("Squeeze", "Unsqueeze", "Reshape", "Flatten", "Gather"),
}


def conditions(graph: Any) -> set[str]:
    """The inputs of a GraphProto that an If or a Loop takes as its condition, at any depth."""
    made: dict[str, Any] = {}
    asked: list[str] = []
    for node in _nodes(graph):
        made.update(dict.fromkeys(node.output, node))
        if node.op_type == "If":
            asked += node.input[:1]
        elif node.op_type == "Loop":
            asked += node.input[1:2]
    seen: set[str] = set()
    while asked:
        name = asked.pop()
        if name in seen:
            continue
        seen.add(name)
        node = made.get(name)
        if node is not None and node.op_type in _LOGIC:
            asked += node.input
    return {each.name for each in graph.input} & seen


def _nodes(graph: Any) -> Iterator[Any]:
    left = [graph]
    while left:
        at = left.pop()
        for node in at.node:
            yield node
            for attribute in node.attribute:
                left += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
