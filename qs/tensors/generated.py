"""Generated inputs: sensible feeds, from a seed, for a model without its data set.

Feeds have to look like requests, or the run measures something else: token ids spread over a
vocabulary, attention masks that end where the text ends, 0/1 segments, floats inside the model's
range. Drawing everything from [0, 1) and casting it to the input's type makes every token id zero;
this module exists to avoid that fault.

Item i depends on the inputs, the seed and i alone, never on its batch, so that a reference run at
batch 1 and a backend at batch 24 see the same items.

Left out: data sets (`datasets/`), rebatching of those (`qs.inside`), anything but numpy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qs.tensors.ranges import draw_float, draw_whole, of_ids, whole_ends

NUMPY_TYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "FLOAT64": np.float64,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "UINT16": np.uint16,
    "INT32": np.int32,
    "UINT32": np.uint32,
    "INT64": np.int64,
    "UINT64": np.uint64,
    "LONG": np.int64,
    "BOOL": np.bool_,
    "STRING": np.str_,
}
DEFAULT_VOCABULARY = 1000  # ids below this exist in every published vocabulary
_POSITION = re.compile(r"(.*[._/])?(positions?|pos)(_?ids?|_?index|_?indices)?")
_BLOCK_ITEMS = 256
_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class InputSpec:
    """One model input."""

    name: str
    shape: tuple[int, ...]
    """At batch size 1."""
    type: str
    """In ByteMLPerf's spelling."""
    range: tuple[float, float] | None = None
    """[low, high) of its values, if the model or the user states it; two equal bounds: that
    value."""
    batch_axis: int | None = 0
    """The dimension that the batch size multiplies: the first, unless the model file says
    otherwise; None if there is no such dimension."""

    @property
    def dtype(self) -> np.dtype:
        return numpy_dtype(self.type)

    def batch_shape(self, batch_size: int) -> tuple[int, ...]:
        """The shape of a batch of this size."""
        if self.batch_axis == 0 or not self.shape:
            return batch_shape(self.shape, batch_size)
        return tuple(
            size * batch_size if at == self.batch_axis else size
            for at, size in enumerate(self.shape)
        )

    def joined(self, items: np.ndarray) -> np.ndarray:
        """A batch from items stacked as [count, *shape]. An input without a batch dimension is the
        first item's.
        """
        if not self.shape or self.batch_axis is None:
            return np.asarray(items[0])
        if self.batch_axis:
            items = np.moveaxis(items, 0, self.batch_axis)
        return items.reshape(self.batch_shape(items.shape[self.batch_axis]))


def numpy_dtype(type_name: str) -> np.dtype:
    """The numpy type of a ByteMLPerf input type; LONG is int64. ValueError lists the known ones."""
    try:
        return np.dtype(NUMPY_TYPES[type_name.strip().upper()])
    except KeyError:
        raise ValueError(
            f"unknown input type {type_name!r}; known: {', '.join(NUMPY_TYPES)}"
        ) from None


def split_names(value: str | Sequence[str] | None) -> list[str]:
    """A list of names: published files have one comma-separated string, typed ones a list, whose
    names are kept as they are.
    """
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(part) for part in value or () if str(part)]


def input_specs(model_info: Mapping) -> list[InputSpec]:
    """The inputs of a model_info in its published spelling, in its order.

    A single type holds for all inputs. ValueError if the counts differ or a shape is missing.
    """
    shapes = model_info.get("input_shape") or {}
    names = split_names(model_info.get("inputs")) or list(shapes)
    types = model_info.get("input_type")
    if isinstance(types, Mapping):
        types = [types[name] for name in names]
    types = split_names(types)
    if len(types) == 1:
        types = types * len(names)
    if len(types) != len(names):
        raise ValueError(
            f"input_type has {len(types)} types for the {len(names)} inputs {', '.join(names)}"
        )
    ranges = model_info.get("input_range") or {}
    specs = []
    for name, type_name in zip(names, types, strict=True):
        if name not in shapes:
            raise ValueError(
                f"input_shape has no entry for the input {name!r}; it has: {', '.join(shapes)}"
            )
        bounds = ranges.get(name)
        specs.append(
            InputSpec(
                name,
                tuple(int(size) for size in shapes[name]),
                type_name.upper(),
                None if bounds is None else (bounds[0], bounds[1]),
                (model_info.get("input_batch_axis") or {}).get(name, 0),
            )
        )
    return specs


def batch_shape(shape: Sequence[int], batch_size: int) -> tuple[int, ...]:
    """The batch size multiplies the first dimension, whatever that is: [26, 2] becomes
    [26*b, 2].
    """
    return (int(shape[0]) * batch_size, *(int(size) for size in shape[1:])) if len(shape) else ()


class GeneratedItems:
    """An endless list of items. Keeps the latest block of them, a few MB; not thread-safe."""

    def __init__(self, specs: Sequence[InputSpec], seed: int) -> None:
        self.specs = list(specs)
        self.seed = int(seed)
        item_bytes = sum(
            int(np.prod(spec.shape)) * max(spec.dtype.itemsize, 1) for spec in self.specs
        )
        # The block depends on the shapes alone: items must not change with the machine or the batch
        # size.
        self._block_items = max(1, min(_BLOCK_ITEMS, _BLOCK_BYTES // max(item_bytes, 1)))
        self._held: tuple[int, dict[str, np.ndarray]] | None = None

    def feeds(self, start: int, count: int) -> dict[str, np.ndarray]:
        """Items start..start+count as one batch: `count` multiplies each input's first
        dimension.
        """
        pieces: list[dict[str, np.ndarray]] = []
        index = start
        while index < start + count:
            block, offset = divmod(index, self._block_items)
            take = min(self._block_items - offset, start + count - index)
            held = self._block(block)
            pieces.append({name: array[offset : offset + take] for name, array in held.items()})
            index += take
        return {
            spec.name: spec.joined(np.concatenate([piece[spec.name] for piece in pieces]))
            for spec in self.specs
        }

    def batches(self, batch_size: int, count: int) -> Iterator[dict[str, np.ndarray]]:
        for index in range(count):
            yield self.feeds(index * batch_size, batch_size)

    def _block(self, block: int) -> dict[str, np.ndarray]:
        if self._held is None or self._held[0] != block:
            self._held = (block, self._draw(block))
        return self._held[1]

    def _draw(self, block: int) -> dict[str, np.ndarray]:
        count = self._block_items
        length_rng = np.random.default_rng([self.seed, block, 0])
        lengths = _text_lengths(self.specs, count, length_rng)
        drawn = {}
        for number, spec in enumerate(self.specs, start=1):
            rng = np.random.default_rng([self.seed, block, number])
            drawn[spec.name] = _draw_input(spec, count, lengths, rng)
        return drawn


def generated_feeds(
    model_info: Mapping, batch_size: int, seed: int = 0, start: int = 0
) -> dict[str, np.ndarray]:
    """Generated items start..start+batch_size as one batch, for a model_info in its published
    spelling.
    """
    return GeneratedItems(input_specs(model_info), seed).feeds(start, batch_size)


def _draw_input(
    spec: InputSpec, count: int, lengths: dict[int, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    shape = (count, *spec.shape)
    kind = _kind(spec)
    length = lengths.get(spec.shape[-1]) if spec.shape else None
    if kind in ("mask", "padding", "segment") and not _of_zeros_and_ones(spec):
        kind = "plain"  # its range says that it is no mask
    if kind in ("mask", "padding") and length is not None:
        inside = _inside(shape, length)
        return _in_range(spec, inside if kind == "mask" else ~inside)
    if kind in ("mask", "padding"):  # no sequence dimension: all of it is text
        return _in_range(spec, np.full(shape, kind == "mask"))
    if kind == "segment" and length is not None:
        # question first, then the passage: one change from 0 to 1 inside the text, padding 0
        change = (length * rng.uniform(0.05, 0.5, size=count)).astype(np.int64)
        return _in_range(spec, _inside(shape, length) & ~_inside(shape, change))
    if kind == "position":  # they count on, and begin again where a range ends
        size = spec.shape[-1] if spec.shape else 1
        first, last = whole_ends(spec.range or (0, size))
        counted = first + np.arange(size) % (last - first + 1)
        return np.broadcast_to(counted if spec.shape else counted[0], shape).astype(spec.dtype)
    if kind == "ids" and (spec.range is None or of_ids(spec.dtype, spec.range)):
        bounds = spec.range or (1, DEFAULT_VOCABULARY)
        ids = draw_whole(spec.dtype, bounds, shape, rng)
        if length is not None and (spec.range is None or bounds[0] <= 0 < bounds[1]):
            ids = np.where(_inside(shape, length), ids, spec.dtype.type(0))  # 0 is [PAD]
        return ids
    return _draw_plain(spec, shape, rng)


def _draw_plain(spec: InputSpec, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    dtype = spec.dtype
    if dtype.kind == "b":
        if spec.range is None and is_switch(spec):
            return np.zeros(shape, np.bool_)
        return draw_whole(dtype, spec.range or (0, 2), shape, rng)
    if dtype.kind == "U":
        return np.char.add("text ", rng.integers(0, DEFAULT_VOCABULARY, size=shape).astype(np.str_))
    if dtype.kind == "f":
        return draw_float(dtype, spec.range or (0.0, 1.0), shape, rng)
    bounds = spec.range or (0, DEFAULT_VOCABULARY)
    if spec.range is None and dtype.itemsize == 1:  # pixels or quantized values: the whole type
        bounds = np.iinfo(dtype).min, int(np.iinfo(dtype).max) + 1
    return draw_whole(dtype, bounds, shape, rng)


def is_switch(spec: InputSpec) -> bool:
    """Whether an input is a single BOOL for all of a call. Such an input chooses what a model
    computes (`use_cache_branch`, `training`), so it has one value for the whole run: false, unless
    a range says otherwise. Drawn anew for each query it would mix two models in one measurement.
    """
    single = all(size == 1 for size in spec.shape)
    return spec.dtype.kind == "b" and single and (len(spec.shape) < 2 or spec.batch_axis is None)


def _of_zeros_and_ones(spec: InputSpec) -> bool:
    if spec.range is None:
        return True
    first, last = whole_ends(spec.range)
    return spec.dtype.kind != "f" and 0 <= first <= last <= 1


def _in_range(spec: InputSpec, ones: np.ndarray) -> np.ndarray:
    values = ones.astype(spec.dtype)
    if spec.range is None:
        return values
    first, last = (spec.dtype.type(end) for end in whole_ends(spec.range))
    return np.minimum(np.maximum(values, first), last)


def _kind(spec: InputSpec) -> str:
    """What an input is, judging by its name in published models; 'plain' if the name does not
    tell.
    """
    name = spec.name.lower()
    if spec.dtype.kind in "iu" and is_position(name):
        return "position"
    if "mask" in name:
        return "padding" if "pad" in name else "mask"
    if "segment" in name or "token_type" in name:
        return "segment"
    if spec.dtype.kind != "b" and ("ids" in name or "token" in name or name.startswith("text")):
        return "ids"
    return "plain"


def is_position(name: str) -> bool:
    """Whether an input is the positions of its tokens, which count: position_ids, input_pos."""
    return bool(_POSITION.fullmatch(name.lower()))


def _text_lengths(
    specs: Sequence[InputSpec], count: int, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Per length of a text dimension: how much of it each item's text takes, a quarter to all."""
    of_text = [spec for spec in specs if spec.shape and _kind(spec) not in ("plain", "position")]
    longest = sorted({spec.shape[-1] for spec in of_text})
    return {
        size: rng.integers(max(1, size // 4), size + 1, size=count) for size in longest if size > 1
    }


def _inside(shape: tuple[int, ...], length: np.ndarray) -> np.ndarray:
    position = np.arange(shape[-1])
    inside = position < length.reshape((-1,) + (1,) * (len(shape) - 1))
    return np.broadcast_to(inside, shape)
