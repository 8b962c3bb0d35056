"""A data set's feeds in the order and of the types that the model info states.

TorchScript takes its inputs by position and of one type each; the dict of a data set may be in any
order, and numpy's own integers are 64 bits wide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np

from qs.tensors.generated import InputSpec

INTEGERS, FLOATS = "iu", "f"


def stated(get_samples: Callable[..., Any], specs: Sequence[InputSpec]) -> Callable[..., Any]:
    """A data set's `get_samples`, whose feeds are then as stated."""
    types = {spec.name: spec.dtype for spec in specs}

    @wraps(get_samples)
    def arranged(*args: Any, **kwargs: Any) -> Any:
        sample = get_samples(*args, **kwargs)
        if isinstance(sample, tuple) and sample:  # (feeds, labels)
            return (as_stated(sample[0], types), *sample[1:])
        if isinstance(sample, list) and sample:
            return [as_stated(sample[0], types), *sample[1:]]
        return as_stated(sample, types)

    return arranged


def as_stated(feeds: Any, types: Mapping[str, np.dtype]) -> Any:
    """The feeds in the order of `types`, further ones after them; whole numbers and floats of the
    stated width, where their values fit. The same object if nothing is to be changed.
    """
    if not isinstance(feeds, Mapping):
        return feeds
    order = [name for name in types if name in feeds]
    order += [name for name in feeds if name not in types]
    arrays = {
        name: _typed(feeds[name], types[name]) if name in types else feeds[name] for name in order
    }
    same = order == list(feeds) and all(arrays[name] is feeds[name] for name in order)
    return feeds if same else arrays


def _typed(array: Any, dtype: np.dtype) -> Any:
    if not isinstance(array, np.ndarray) or array.dtype == dtype:
        return array
    kinds = array.dtype.kind, dtype.kind
    if all(kind in FLOATS for kind in kinds):
        return array.astype(dtype)
    if all(kind in INTEGERS for kind in kinds):
        ends = np.iinfo(dtype)
        if not array.size or (array.min() >= ends.min and array.max() <= ends.max):
            return array.astype(dtype)
    return array
