"""A data set in arrays: `.npz` archives with inputs by name and labels, or one `.npy` file each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.contract.labelled_items import LabelledItems
from qs.tensors.casting import Bent, cast
from qs.tensors.generated import InputSpec
from qs.tensors.npy import npy_shape, read_npz

Array = str | tuple[str, str]
"""A .npy file, or (.npz archive, name of an array in it)."""
Numbers = float | Sequence[float]


class ArrayItems(LabelledItems):
    """Arrays [items, ...] in the order of the items. A subclass states the attributes that
    differ.
    """

    INPUTS: Mapping[str, Array] = {}
    """Input of the model -> its array."""
    LABELS: Array | None = None
    """The array of labels."""
    SCALE: Mapping[str, float] = {}
    """Input -> what its values are multiplied by first."""
    MEAN: Mapping[str, Numbers] = {}
    """Input -> what is then subtracted: a number, or one for each channel."""
    STD: Mapping[str, Numbers] = {}
    """Input -> what that is then divided by."""

    def preprocess(self) -> None:
        specs = self.specs()
        self._check_inputs([spec.name for spec in specs])
        archives: dict[Path, list[str]] = {}
        stated = [*self.INPUTS.values(), *([self.LABELS] if self.LABELS else [])]
        for array in stated:
            if not isinstance(array, str):
                archives.setdefault(self.place(array[0], "INPUTS"), []).append(array[1])
        read = {path: read_npz(path, *dict.fromkeys(names)) for path, names in archives.items()}
        self.arrays = {spec.name: self._array(self.INPUTS[spec.name], read) for spec in specs}
        for spec in specs:
            self.arrays[spec.name] = fitted(
                self.arrays[spec.name], spec, _called(self.INPUTS[spec.name])
            )
        counts = {name: len(array) for name, array in self.arrays.items()}
        if len(set(counts.values())) > 1:
            said = ", ".join(f"{name}: {count}" for name, count in counts.items())
            raise UserError(f"the inputs have unlike numbers of items: {said}")
        labels = None if self.LABELS is None else self._array(self.LABELS, read)
        where = _called(self.LABELS or next(iter(self.INPUTS.values())))
        self.take(next(iter(counts.values())), labels, where)

    def _check_inputs(self, names: list[str]) -> None:
        missing = [name for name in names if name not in self.INPUTS]
        strange = [name for name in self.INPUTS if name not in names]
        if missing or strange:
            said = [f"INPUTS has no array for {', '.join(missing)}"] if missing else []
            said += (
                [f"INPUTS has {', '.join(strange)}, which the model does not"] if strange else []
            )
            raise UserError(f"{self.FOLDER / 'data_loader.py'}: {'; '.join(said)}")

    def _array(self, stated: Array, read: Mapping[Path, Mapping[str, np.ndarray]]) -> np.ndarray:
        if not isinstance(stated, str):
            return read[self.place(stated[0], "INPUTS")][stated[1]]
        path = self.place(stated, "INPUTS")
        npy_shape(path)  # refuses pickles, and files shorter than they say
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def feeds(self, items: Any) -> dict[str, np.ndarray]:
        feeds = {}
        for spec in self.specs():
            values = normalised(
                np.asarray(self.arrays[spec.name][items]),
                self.SCALE.get(spec.name, 1.0),
                self.MEAN.get(spec.name, 0.0),
                self.STD.get(spec.name, 1.0),
            )
            try:
                feeds[spec.name] = spec.joined(cast(values, spec.dtype, spec.type))
            except Bent as error:
                raise UserError(
                    f"{_called(self.INPUTS[spec.name])}: allowed for the input {spec.name}: {error}"
                ) from None
        return feeds


def normalised(values: np.ndarray, scale: float, mean: Numbers, std: Numbers) -> np.ndarray:
    """(values * scale - mean) / std, float32; the values as they are where that changes nothing.

    values   [items, ...]; a mean or std with several numbers has one for each channel: the first
             dimension of an item if that has so many, or the last
    """
    if scale == 1 and not np.any(mean) and np.all(np.asarray(std) == 1):
        return values
    shaped = [_by_channel(each, values.shape[1:]) for each in (mean, std)]
    return (values.astype(np.float32) * np.float32(scale) - shaped[0]) / shaped[1]


def _by_channel(value: Numbers, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.asarray(value, dtype=np.float32)
    if numbers.ndim == 0:
        return numbers
    sides = [at for at in range(len(shape)) if shape[at] == len(numbers)]
    if not sides:
        raise UserError(
            f"a mean or std has {len(numbers)} numbers; allowed for items of {list(shape)}: one, "
            "or one for each channel"
        )
    at = sides[-1] if len(shape) - 1 in sides and sides[0] != 0 else sides[0]
    return numbers.reshape([-1 if side == at else 1 for side in range(len(shape))])


def fitted(array: np.ndarray, spec: InputSpec, where: str) -> np.ndarray:
    """[items, *shape at batch size 1] of an array whose items have the input's dimensions, save for
    those of size 1, or where either is flat. UserError otherwise.
    """
    wanted = item_shape(spec)
    if array.ndim:
        found = array.shape[1:]
        same = [size for size in found if size != 1] == [size for size in wanted if size != 1]
        flat = 1 in (len(found), len(wanted)) and math.prod(found) == math.prod(wanted)
        if same or flat:
            return array.reshape(len(array), *spec.shape)
    hint = ""
    if array.ndim and sorted(array.shape[1:]) == sorted(wanted):
        hint = "; its dimensions are in another order: save it transposed (numpy.transpose)"
    raise UserError(
        f"{where}: has shape {list(array.shape)}; the input {spec.name} takes items of "
        f"{list(wanted)}{hint}"
    )


def item_shape(spec: InputSpec) -> tuple[int, ...]:
    """An input's shape without its batch dimension, if that is 1 at batch size 1."""
    axis = spec.batch_axis
    if axis is None or not spec.shape or spec.shape[axis] != 1:
        return spec.shape
    return (*spec.shape[:axis], *spec.shape[axis + 1 :])


def _called(array: Array) -> str:
    return array if isinstance(array, str) else f"{array[1]} in {array[0]}"
