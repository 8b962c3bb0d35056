"""One client's way through a session: pinned host memory, tensors that stay allocated on the GPU,
and outputs on the host or left where they are.

A binding belongs to one thread: clients of an instance have one each.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

CUDART = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so")


class Pinned:
    """Arrays in host memory that the GPU reads without a copy of the driver's. Where CUDA's runtime
    cannot be asked for it, they are plain arrays, and `why` says so.
    """

    def __init__(self, library: Any = None) -> None:
        self._library = library if library is not None else _cudart()
        self.why = "" if self._library is not None else "CUDA's runtime library was not found"

    def array(self, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
        made = np.empty(shape, dtype)
        if self._library is not None and made.nbytes:
            address = ctypes.c_void_p(made.ctypes.data)
            code = self._library.cudaHostRegister(address, ctypes.c_size_t(made.nbytes), 0)
            if code:
                self.why = f"cudaHostRegister said {code}"
        return made

    def free(self, array: np.ndarray) -> None:
        """Before the array goes."""
        if self._library is not None and array.nbytes:
            self._library.cudaHostUnregister(ctypes.c_void_p(array.ctypes.data))


def _cudart() -> Any:
    for name in CUDART:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


class OnDevice:
    """An output that stays on the GPU; as an array it is copied to the host."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._value.shape())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self._value.numpy()
        return array if dtype is None else array.astype(dtype)


class Lane:
    """`outputs` are the file's names. `ort` is the onnxruntime module."""

    def __init__(
        self, ort: Any, session: Any, outputs: Sequence[str], device_id: int, keep: bool
    ) -> None:
        self._ort, self._session, self._outputs = ort, session, list(outputs)
        self._device_id, self._keep = device_id, keep
        self.pinned = Pinned()
        self._binding = session.io_binding()
        self._host: dict[str, np.ndarray] = {}
        self._device: dict[str, Any] = {}

    def run(self, feeds: Mapping[str, np.ndarray]) -> list[Any]:
        """The outputs, complete when this returns: arrays, or OnDevice if they are kept."""
        for name, array in feeds.items():
            self._sent(name, array)
        # New ones for each answer: an earlier answer must stay as it is.
        self._binding.clear_binding_outputs()
        for name in self._outputs:
            if self._keep:
                self._binding.bind_output(name, "cuda", self._device_id)
            else:
                self._binding.bind_output(name, "cpu")
        self._binding.synchronize_inputs()
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        if self._keep:
            return [OnDevice(value) for value in self._binding.get_outputs()]
        return [value.numpy() for value in self._binding.get_outputs()]

    def _sent(self, name: str, array: np.ndarray) -> None:
        host = self._host.get(name)
        if host is None or host.shape != array.shape or host.dtype != array.dtype:
            if host is not None:
                self.pinned.free(host)
            host = self._host[name] = self.pinned.array(array.shape, array.dtype)
            self._device[name] = self._ort.OrtValue.ortvalue_from_shape_and_type(
                list(array.shape), array.dtype, "cuda", self._device_id
            )
            self._binding.bind_ortvalue_input(name, self._device[name])
        np.copyto(host, array)
        self._device[name].update_inplace(host)

    def close(self) -> None:
        while self._host:
            self.pinned.free(self._host.popitem()[1])
