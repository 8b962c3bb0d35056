"""One inference in the calling thread, with as little Python around it as there can be.

What was measured (digits CNN, 1 stream of 1 thread, CPU time of one inference): OpenVINO's Python
classes 89 us; a blocking inference of the class beneath them, its inputs shared, 41 us; the same
started asynchronously and waited for 72 us and more, since two threads take part. A queue of
requests with callbacks adds a hop to the event loop. So every client has a request of its own and
runs it where it stands. With one stream the calling thread computes; with several OpenVINO has
threads of its own for them, and the caller waits for one.
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

HOW = (False, True)  # outputs are copies, strings are decoded

Outputs = dict[str, np.ndarray]
Kept = dict[int, tuple[np.ndarray, Any]]


class Requests:
    """Inference requests of a compiled model, one for each thread that asks.

    Inputs are read where they lie, without a copy, if they are contiguous and have the model's
    type. Outputs are the caller's own: the next inference does not write into them.
    """

    def __init__(self, compiled: Any, bound: Bound) -> None:
        self.compiled = compiled
        self._own = threading.local()
        self._tensor: Callable[..., Any] = library().Tensor
        self._inputs: list[tuple[int, str, np.dtype, Kept]] = [
            (position, fed.declared, fed.dtype, {}) for position, fed in enumerate(bound.inputs)
        ]
        self._outputs = dict(bound.outputs)
        plain = len(self._inputs) == len(self._outputs) == len(compiled.outputs) == 1
        self.answer: Callable[[Mapping[str, Any]], Outputs] = (
            self._one_to_one() if plain else self._many()
        )
        """The outputs by the model info's names, for feeds by its names. Blocks, without the
        GIL."""

    def _one_to_one(self) -> Callable[[Mapping[str, Any]], Outputs]:
        """For one input and one output: 4 us of Python in place of 9."""
        own, shared = self._own, self._shared
        ((_, declared, dtype, kept),) = self._inputs
        (name,) = self._outputs

        def answer(data: Mapping[str, Any]) -> Outputs:
            try:
                infer = own.infer
            except AttributeError:
                infer = self._begun()
            array = data[declared]
            found = kept.get(id(array))
            if found is not None and found[0] is array:
                tensor = found[1]
            else:
                tensor = shared(array, dtype, kept)
            (value,) = infer(tensor, *HOW).values()
            return {name: value}

        return answer

    def _many(self) -> Callable[[Mapping[str, Any]], Outputs]:
        own, shared, inputs = self._own, self._shared, self._inputs
        outputs = list(self._outputs.items())

        def answer(data: Mapping[str, Any]) -> Outputs:
            try:
                infer = own.infer
            except AttributeError:
                infer = self._begun()
            tensors = {}
            for position, declared, dtype, kept in inputs:
                array = data[declared]
                found = kept.get(id(array))
                if found is not None and found[0] is array:
                    tensors[position] = found[1]
                else:
                    tensors[position] = shared(array, dtype, kept)
            values = list(infer(tensors, *HOW).values())
            return {name: values[position] for name, position in outputs}

        return answer

    def took_ms(self) -> float:
        """This thread's last inference, by OpenVINO's own clock."""
        return float(self._own.request.latency)

    def profiled(self, data: Mapping[str, Any]) -> list[Any]:
        """One inference, and what OpenVINO counted of it; PERF_COUNT must have been set."""
        self.answer(data)
        return list(self._own.request.profiling_info)

    def _begun(self) -> Callable[..., dict[Any, Any]]:
        """A request of this thread; `infer` of the class beneath openvino.InferRequest."""
        request = self._own.request = self.compiled.create_infer_request()
        infer = self._own.infer = super(library().InferRequest, request).infer
        if request.query_state():

            def from_the_beginning(*arguments: Any) -> dict[Any, Any]:
                request.reset_state()  # an answer must not depend on who asked before
                return infer(*arguments)

            self._own.infer = from_the_beginning
        return self._own.infer

    def _shared(self, given: Any, dtype: np.dtype, kept: Kept) -> Any:
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
