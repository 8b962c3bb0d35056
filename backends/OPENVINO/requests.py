"""One inference in the calling thread, with as little Python around it as there can be.

What was measured (digits CNN, 1 stream of 1 thread, CPU time of one inference): OpenVINO's Python
classes 89 us; a blocking inference of the class beneath them, its inputs shared, 41 us; the same
started asynchronously and waited for 72 us and more, since two threads take part. A queue of
requests with callbacks adds a hop to the event loop. So every client has a request of its own and
runs it where it stands: OpenVINO lets the calling thread compute in the place of a stream's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .models import Bound, library

# Making a tensor of an array costs 2 us. For those up to this size it is kept with its array, as
# long as there are no more than that many of an input: what is submitted in turn is known soon.
KEPT_BYTES, MOST_KEPT = 1 << 16, 256

Outputs = dict[str, np.ndarray]


class Requests:
    """Inference requests of a compiled model, one for each thread that asks.

    Inputs are read where they lie, without a copy, if they are contiguous and have the model's
    type. Outputs are the caller's own: the next inference does not write into them.
    """

    def __init__(self, compiled: Any, bound: Bound) -> None:
        self._compiled = compiled
        self._own = threading.local()
        self._tensor: Callable[..., Any] = library().Tensor
        self._inputs = [
            (position, fed.declared, fed.dtype, {}) for position, fed in enumerate(bound.inputs)
        ]
        self._names = list(bound.outputs)
        self._positions = list(bound.outputs.values())
        if self._positions == list(range(len(compiled.outputs))):
            self._positions = []  # all of them, in the model's order
        self._one = len(self._inputs) == 1

    def __call__(self, data: Mapping[str, Any]) -> Outputs:
        """The outputs by the model info's names, for feeds by its names."""
        try:
            infer = self._own.infer
        except AttributeError:
            infer = self._own.infer = self._begun()
        feeds = {}
        for position, declared, dtype, kept in self._inputs:
            array = data[declared]
            found = kept.get(id(array))
            if found is not None and found[0] is array:
                feeds[position] = found[1]
            else:
                feeds[position] = self._shared(array, dtype, kept)
        # not shared, strings decoded
        values = list(infer(feeds[0] if self._one else feeds, False, True).values())
        if self._positions:
            values = [values[position] for position in self._positions]
        return dict(zip(self._names, values, strict=True))

    def profiled(self, data: Mapping[str, Any]) -> list[Any]:
        """One inference, and what OpenVINO counted of it; PERF_COUNT must have been set."""
        self(data)
        return list(self._own.request.profiling_info)

    def _begun(self) -> Callable[..., dict[Any, Any]]:
        """A request of this thread; `infer` of the class beneath openvino.InferRequest."""
        request = self._own.request = self._compiled.create_infer_request()
        infer = super(library().InferRequest, request).infer
        if not request.query_state():
            return infer

        def from_the_beginning(*arguments: Any) -> dict[Any, Any]:
            request.reset_state()  # an answer must not depend on who asked before
            return infer(*arguments)

        return from_the_beginning

    def _shared(self, given: Any, dtype: np.dtype, kept: dict[int, tuple]) -> Any:
        """A tensor of the array's own memory; of a copy if it cannot be taken as it is."""
        array = np.asarray(given)
        if dtype.kind == "O":
            return self._tensor(array.astype(np.str_), shared_memory=False)
        if array.dtype != dtype:
            array = array.astype(dtype)
        if not array.flags.c_contiguous or not array.flags.writeable:
            array = array.copy(order="C")
        tensor = self._tensor(array, shared_memory=True)
        if array is given and array.nbytes <= KEPT_BYTES:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[id(array)] = (array, tensor)
        return tensor
