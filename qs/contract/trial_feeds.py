"""What a backend's trial inferences are fed: the first batch of what the run will be fed, so that a
model is neither refused for values that nobody gave nor passed for values that are not coming.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.tensors.generated import generated_feeds
from qs.tensors.trials import culprits, shown

Feeds = dict[str, np.ndarray]


def first_batch(dataloader: Any, model_info: Mapping[str, Any], batch_size: int) -> Feeds:
    """The first `batch_size` items of the task's Dataset; a data set with fewer begins again from
    its first. Generated items without one (`dataloader` None).
    """
    if dataloader is None:
        return generated_feeds(model_info, batch_size)
    generated = getattr(dataloader, "generated_batch", None)
    if generated is not None:  # made for any size at no cost
        return generated(batch_size)
    if getattr(dataloader, "cur_bs", None) != batch_size or not dataloader.get_batch_count():
        # Single items: another batch size would copy the whole of an eager data set.
        dataloader.rebatch(1)
        count = int(dataloader.get_batch_count())
        if not count:
            raise UserError(f"the data set {_name(dataloader)} has no items")
        items = [_feeds(dataloader, index % count) for index in range(batch_size)]
        return joined_items(items, model_info.get("input_batch_axis") or {})
    return _feeds(dataloader, 0)


def joined_items(
    items: Sequence[Mapping[str, Any]], axes: Mapping[str, int | None] | None = None
) -> Feeds:
    """Several batches as one, along the batch dimension of every input: `axes`, as in the model
    info's input_batch_axis, the first where it says nothing. Inputs without one and scalars are
    shared: they are the first item's.
    """
    first = items[0]
    if len(items) == 1:
        return {name: np.asarray(array) for name, array in first.items()}
    joined = {}
    for name, array in first.items():
        axis = (axes or {}).get(name, 0)
        joined[name] = (
            np.asarray(array)
            if is_shared(array, axis)
            else np.concatenate([np.asarray(item[name]) for item in items], axis)
        )
    return joined


def is_shared(array: Any, axis: int | None) -> bool:
    """Whether all items of a batch share an input with that batch dimension."""
    return axis is None or not np.ndim(array)


def value_fault(
    run: Callable[[dict[str, Any]], object], feeds: Feeds, dataloader: Any, said: str
) -> str:
    """Why an inference with these feeds failed, in words: `said`, the runtime's own, and, where
    zeros in an input make it succeed, which values of which input did it and what feeds others.
    """
    names = culprits(run, feeds)
    if not names:
        return said
    origin_of = getattr(dataloader, "origin_of", None)
    parts = []
    for name in names:
        origin = origin_of(name) if origin_of else f"of the data set {_name(dataloader)}"
        parts.append(f"{name} was fed {shown(feeds[name])} ({origin})")
    return f"the model takes the shapes, but not the values: {'; '.join(parts)}; it said: {said}"


def _feeds(dataloader: Any, index: int) -> Feeds:
    sample = dataloader.get_samples(index)
    return sample[0] if isinstance(sample, (tuple, list)) else sample


def _name(dataloader: Any) -> str:
    try:
        return str(dataloader.name())
    except Exception:  # a vendor's own data set may have none
        return type(dataloader).__name__
