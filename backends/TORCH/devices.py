"""Where a model runs, and the way of its inputs and outputs.

On the CPU arrays and tensors share their memory: nothing is copied. On an accelerator each instance
has a stream of its own, on which its inputs come from pinned host memory, and an answer is complete
when the caller has it: outputs on the host, or, if they stay on the device, computed there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Cpu:
    """Tensors over the caller's arrays."""

    name = "cpu"

    def __init__(self) -> None:
        import torch

        self._from_numpy = torch.from_numpy

    def place(self, module: Any) -> Any:
        return module

    def run(self, call: Callable[..., Any], arrays: Sequence[np.ndarray]) -> Any:
        """What `call` makes of the arrays, as tensors."""
        return call(*map(self._from_numpy, arrays))


class Accelerator:
    """A device with memory of its own. `module` is what torch has for its kind (torch.cuda)."""

    def __init__(self, name: str, keep_outputs: bool, module: Any = None) -> None:
        import torch

        self.name = name
        self._torch = torch
        self._keep = keep_outputs
        self._module = module or torch.get_device_module(torch.device(name).type)
        streams = hasattr(self._module, "Stream") and hasattr(self._module, "Event")
        self._stream = self._module.Stream(name) if streams else None

    def place(self, module: Any) -> Any:
        """The module with its weights on the device; they are there when this returns."""
        moved = module.to(self.name)
        self._module.synchronize()
        return moved

    def run(self, call: Callable[..., Any], arrays: Sequence[np.ndarray]) -> Any:
        """What `call` makes of the arrays: a flat list of tensors, on the host unless they are
        kept. They are complete when this returns.
        """
        if self._stream is None:
            outputs = self._queued(call, arrays)
            self._module.synchronize()
            return outputs
        with self._module.stream(self._stream):
            outputs = self._queued(call, arrays)
            # An event, not the stream: other clients of this instance may have queued more since.
            done = self._module.Event()
            done.record(self._stream)
        done.synchronize()
        return outputs

    def _queued(self, call: Callable[..., Any], arrays: Sequence[np.ndarray]) -> list[Any]:
        outputs = call(*map(self._sent, arrays))
        # Into pinned host memory, which non_blocking makes torch allocate.
        return outputs if self._keep else [each.to("cpu", non_blocking=True) for each in outputs]

    def _sent(self, array: np.ndarray) -> Any:
        tensor = self._torch.from_numpy(array)
        if self._stream is None:
            return tensor.to(self.name)
        # torch keeps the pinned block until the stream has read it, and uses it again then.
        return tensor.pin_memory().to(self.name, non_blocking=True)


def device_for(name: str, keep_outputs: bool, instance: int = 0) -> Any:
    """The device an instance runs on. A kind without a number ("cuda") means one after the other
    for several instances.
    """
    import torch

    if name == "cpu":
        return Cpu()
    if ":" not in name and torch.accelerator.is_available():
        name = f"{name}:{instance % max(torch.accelerator.device_count(), 1)}"
    return Accelerator(name, keep_outputs)
