"""The state of building one graph: what each value of the ONNX graph is in TensorFlow's.

ONNX has the channels of an image second, TensorFlow's convolutions on a CPU take them last. So a
value may be kept with its channels last, and is turned around only for who needs it otherwise: not
once for every layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.visible import one_line

LONGEST_NAME = 80
TO_LAST, TO_SECOND = (0, 2, 3, 1), (0, 3, 1, 2)


@dataclass(frozen=True)
class Operation:
    """A node of the ONNX graph; its values are numbers, None where an optional one is not given."""

    op: str
    name: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        named = f" {one_line(self.name, LONGEST_NAME)!r}" if self.name else ""
        return f"the node{named} ({one_line(self.op, LONGEST_NAME)})"

    def given(self, at: int) -> int | None:
        return self.inputs[at] if at < len(self.inputs) else None


def unsupported(node: Operation, why: str) -> UserError:
    return UserError(f"{node} is not turned into TensorFlow: {why}")


@dataclass
class Values:
    """`tf` is the module; `arrays` are the constants, by number."""

    tf: Any
    opset: int
    arrays: dict[int, np.ndarray]
    _plain: dict[int, Any] = field(default_factory=dict)
    _last: dict[int, Any] = field(default_factory=dict)
    _made: dict[tuple[int, str], Any] = field(default_factory=dict)

    def put(self, number: int, tensor: Any, last: bool = False) -> None:
        """The value of a number; `last`: with its channels last."""
        (self._last if last else self._plain)[number] = tensor

    def array(self, node: Operation, at: int) -> np.ndarray | None:
        """An input that is constant."""
        number = node.given(at)
        return None if number is None else self.arrays.get(number)

    def ints(self, node: Operation, at: int, attribute: str = "") -> list[int] | None:
        """Whole numbers that older opsets have as an attribute and newer ones as an input; None if
        they are not given. UserError if they are computed.
        """
        if attribute and attribute in node.attributes:
            stated = node.attributes[attribute]
            return [int(each) for each in (stated if isinstance(stated, list) else [stated])]
        if node.given(at) is None:
            return None
        array = self.array(node, at)
        if array is None:
            raise unsupported(node, f"its input {at} is computed, not a constant")
        return [int(each) for each in array.reshape(-1)]

    def tensor(self, node: Operation, at: int = 0) -> Any:
        """An input as the ONNX graph has it."""
        number = self._number(node, at)
        if number in self._plain:
            return self._plain[number]
        if number in self.arrays:
            made = self.tf.constant(self.arrays[number])
        elif number in self._last:
            made = self.tf.transpose(self._last[number], TO_SECOND)
        else:
            raise unsupported(node, f"its input {at} is computed by no earlier node")
        self._plain[number] = made
        return made

    def last(self, node: Operation, at: int = 0) -> Any:
        """An input of [batch, channels, height, width] as [batch, height, width, channels]."""
        number = self._number(node, at)
        if number not in self._last:
            plain = self.tensor(node, at)
            if plain.shape.rank != 4:
                raise unsupported(node, f"its input {at} is no batch of images")
            self._last[number] = self.tf.transpose(plain, TO_LAST)
        return self._last[number]

    def is_last(self, node: Operation, at: int = 0) -> bool:
        """Whether an input is kept with its channels last."""
        number = node.given(at)
        return number in self._last and number not in self._plain

    def changed(
        self, node: Operation, at: int, how: str, change: Callable[[np.ndarray], np.ndarray]
    ) -> Any:
        """A constant in another layout, made once; UserError if the input is computed."""
        number = self._number(node, at)
        if number not in self.arrays:
            raise unsupported(node, f"its input {at} is computed, not a constant")
        key = number, how
        if key not in self._made:
            array = np.ascontiguousarray(change(self.arrays[number]))
            self._made[key] = self.tf.constant(array)
        return self._made[key]

    def reshaped(self, x: Any, wanted: Sequence[int], keeps_zero: bool = False) -> Any:
        """ONNX's Reshape: 0 keeps a dimension (unless it is to be 0), -1 is what is left."""
        have = x.shape.as_list()
        sizes: list[Any] = []
        for at, size in enumerate(wanted):
            kept = size == 0 and not keeps_zero
            sizes.append(have[at] if kept else None if size == -1 else size)
        unknown = [at for at, size in enumerate(sizes) if size is None]
        free = [at for at in unknown if wanted[at] == -1]
        if len(unknown) > 1 and free and have.count(None) == len(unknown) - 1:
            # All that is unknown is kept, so the known ones tell the size of what is left.
            rest = math.prod(size for size in sizes if size is not None)
            sizes[free[0]] = math.prod(size for size in have if size is not None) // max(rest, 1)
            unknown.remove(free[0])
        if len(unknown) == 1:
            sizes[unknown[0]] = -1
        elif unknown:
            shape = self.tf.shape(x)
            sizes = [
                -1 if at in free else shape[at] if at in unknown else size
                for at, size in enumerate(sizes)
            ]
        return self.tf.reshape(x, sizes)

    def reshaped_as(self, flat: Any, x: Any, width: int) -> Any:
        """[n, width] in the dimensions of x, but for its last one."""
        sizes = x.shape.as_list()[:-1]
        if sizes.count(None) <= 1:
            return self.tf.reshape(flat, [-1 if size is None else size for size in sizes] + [width])
        return self.tf.reshape(flat, self.tf.concat([self.tf.shape(x)[:-1], [width]], 0))

    def _number(self, node: Operation, at: int) -> int:
        number = node.given(at)
        if number is None:
            raise unsupported(node, f"it has no input {at}")
        return number


Build = Callable[[Values, Operation], Any]
