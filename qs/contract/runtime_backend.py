"""The runtime of a backend: loads what was compiled and runs inferences.

A vendor subclasses RuntimeBackend as `RuntimeBackendXXX` in `backends/XXX/runtime_backend_xxx.py`.
If `is_qs_mode_supported` returns True, the engine does the timing, clients and percentiles.
"""

from __future__ import annotations

from typing import Any


class RuntimeBackend:
    """Base of every runtime backend; constructed without arguments, once per instance of the model.

    After construction the framework sets `configs` (the compile result), `workload` and
    `model_info`. If the class has an attribute `placement`, that is set before `load` as well, once
    known: {"instance", "instances", "cpus", "intra_op_threads"}, the last two as in the QS config.
    `predict` may be a coroutine function, with the runner "async".
    """

    # Class attributes too, for subclasses whose __init__ does not call this one.
    hardware_type: str = "UnKnown"
    need_reload: bool = False
    need_quant: bool = False
    configs: dict[str, Any] | None = None
    workload: dict[str, Any] | None = None
    model_info: dict[str, Any] | None = None

    def __init__(self) -> None:
        self.hardware_type = "UnKnown"
        self.need_reload = False
        self.need_quant = False

    def version(self) -> str:
        """The runtime's version and details, for the report."""
        raise NotImplementedError("RuntimeBackend:version")

    def load(self, batch_size: int) -> Any:
        """Load the artifact compiled for `batch_size`. The return value is ignored."""
        raise NotImplementedError("RuntimeBackend:load")

    def get_loaded_batch_size(self) -> int:
        """The batch size that is really loaded; it may differ from the one requested."""
        raise NotImplementedError("RuntimeBackend:get_loaded_batch_size")

    def predict(self, data: Any) -> Any:
        """One blocking inference on input name -> array, at the loaded batch size.

        Returns a dict, list or tuple of arrays.
        """
        raise NotImplementedError("RuntimeBackend:predict")

    def segment_outputs(self, data: Any) -> Any:
        """Optional: tensors at the ends of segments (tensor name -> array), for the same feeds as
        predict.

        Names are those of the model's graph, as in the segments' `output_tensor_map`. Comparing
        them with the reference's shows which segment first diverges.
        """
        raise NotImplementedError("RuntimeBackend:segment_outputs")

    def telemetry(self) -> dict[str, Any]:
        """Optional: what the device draws and how busy it is, now. Name -> number, or
        {"value", "unit", "kind": "gauge" or "counter"}, up to 64 names.

        `power_w` (W) or `energy_j` (J, a counter that goes up) of all that this backend computes
        on counts in the report's power; `utilisation_percent` is how busy that is; other names are
        shown beside them. Called about once a second while a case is measured, on the first
        instance alone, in a thread of its own while `predict` runs in others: let it be quick.
        """
        raise NotImplementedError("RuntimeBackend:telemetry")

    def is_qs_mode_supported(self) -> bool:
        """True: the engine drives `predict`, by `generate_qs_config`. False: `benchmark` is
        called.
        """
        return False

    def generate_qs_config(self) -> dict[str, Any] | None:
        """How the engine is to drive this backend, in QS mode; None means all defaults."""
        return None

    def benchmark(self, dataloader: Any) -> Any:
        """The vendor's own timing at the loaded batch size, if QS mode is not supported.

        Returns {"BS", "QPS" (items/s), "AVG Latency", "P99 Latency" (ms)} or a list of such dicts.
        """
        raise NotImplementedError("RuntimeBackend:benchmark")
