"""Nodes that torch has one operation for, where an ONNX file spells it in several: a linear layer's
product and bias, and the exact GELU. Nothing more is joined: what a runtime would fuse is its own
business, but a network written in torch has these as one call, and five passes over the largest
tensors would make it slower than it is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from qs.inside.torchscript.graph import Node, PlainGraph

# Names that no operator of a file can have.
LINEAR, GELU = "linear+bias", "gelu"


def fused(graph: PlainGraph) -> PlainGraph:
    """The graph with those patterns as single nodes, each in the place of its last one."""
    search = _Search(graph)
    nodes = list(graph.nodes)
    for at, node in enumerate(nodes):
        found = search.gelu(node) if node.op == "Mul" else search.linear(node)
        if found is not None:
            nodes[at] = found
            search.made.update((value, found) for value in found.outputs if value is not None)
    whole = replace(graph, nodes=nodes)
    # The parts are still there; what nobody uses any more is dropped.
    wanted, kept = set(whole.outputs), []
    for node in reversed(nodes):
        if any(value in wanted for value in node.outputs):
            kept.append(node)
            wanted |= {value for value in node.inputs if value is not None}
    return replace(whole, nodes=kept[::-1])


class _Search:
    def __init__(self, graph: PlainGraph) -> None:
        self.weights, self.types, self.users = graph.weights, graph.types, graph.users()
        self.made = {
            value: node for node in graph.nodes for value in node.outputs if value is not None
        }

    def linear(self, node: Node) -> Node | None:
        """Add(MatMul(x, weights [in, out]), bias [out]), the product used nowhere else."""
        if node.op != "Add" or len(node.inputs) != 2:
            return None
        for product, bias in (node.inputs, node.inputs[::-1]):
            before = self._only(product, "MatMul")
            array = self.weights.get(-1 if bias is None else bias)
            if before is None or array is None or array.ndim != 1 or len(before.inputs) != 2:
                continue
            table = self.weights.get(-1 if before.inputs[1] is None else before.inputs[1])
            if table is not None and table.ndim == 2 and table.shape[1] == len(array):
                return replace(node, op=LINEAR, inputs=(*before.inputs, bias))
        return None

    def gelu(self, node: Node) -> Node | None:
        """x * (1 + erf(x / sqrt 2)) * 0.5 in any order of its factors."""
        factors = self._factors(node)
        if len(factors) != 3 or not any(self._near(each, 0.5) for each in factors):
            return None
        halves = [each for each in factors if not self._near(each, 0.5)]
        if len(halves) != 2:
            return None
        for x, raised in (halves, halves[::-1]):
            added = self._only(raised, "Add")
            erf = None
            for one, other in (added.inputs, added.inputs[::-1]) if added else ():
                if self._near(one, 1.0):
                    erf = self._only(other, "Erf")
            if erf is not None and self._scaled(erf.inputs[0]) == x:
                return replace(node, op=GELU, inputs=(x,))
        return None

    def _factors(self, node: Node) -> list[int | None]:
        """Of a product of three, in whichever order."""
        for one, other in (node.inputs, node.inputs[::-1]):
            before = self._only(one, "Mul")
            if before is not None:
                return [*before.inputs, other]
        return []

    def _scaled(self, value: int | None) -> int | None:
        """x, if the value is x / sqrt 2 and used nowhere else."""
        division, product = self._only(value, "Div"), self._only(value, "Mul")
        if division is not None and self._near(division.inputs[1], math.sqrt(2)):
            return division.inputs[0]
        for one, other in (product.inputs, product.inputs[::-1]) if product else ():
            if self._near(other, 1 / math.sqrt(2)):
                return one
        return None

    def _only(self, value: int | None, op: str) -> Node | None:
        """The node of that kind that made the value, if the value is used once."""
        if value is None or self.users.get(value) != 1:
            return None
        node = self.made.get(value)
        return node if node is not None and node.op == op and not node.domain else None

    def _near(self, value: int | None, wanted: float) -> bool:
        """Whether it is a constant of no dimensions, or one, with that value."""
        array = self.weights.get(-1 if value is None else value)
        if array is None or array.size != 1 or array.ndim > 1 or array.dtype.kind != "f":
            return False
        return bool(np.isclose(array.reshape(-1)[0], wanted, rtol=1e-4, atol=0))
