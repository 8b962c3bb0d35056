"""The runtime's half of a backend: loads what was compiled and runs inferences.

A vendor subclasses RuntimeBackend as `RuntimeBackendXXX` in `backends/XXX/runtime_backend_xxx.py`.
Timing, clients and percentiles are the engine's part where `is_qs_mode_supported` says True.
"""

from __future__ import annotations

from typing import Any


class RuntimeBackend:
    """Base of every runtime backend; constructed without arguments, once per loaded copy of the
    model.

    After construction the framework sets `configs` (the compile result), `workload` and
    `model_info`. A class that has an attribute `placement` gets it set before `load` as well, where
    it is known: {"instance", "instances", "cpus", "intra_op_threads"}, the last two as in the QS
    config. `predict` may be a coroutine function, with the runner "async".
    """

    # Also class attributes, for subclasses whose __init__ does not call this one.
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
        """Details of the runtime, as they shall stand in the report."""
        raise NotImplementedError("RuntimeBackend:version")

    def load(self, batch_size: int) -> Any:
        """Load the artifact that was compiled for `batch_size`. What it returns is ignored."""
        raise NotImplementedError("RuntimeBackend:load")

    def get_loaded_batch_size(self) -> int:
        """The batch size that is really loaded, which may be another than the one asked for."""
        raise NotImplementedError("RuntimeBackend:get_loaded_batch_size")

    def predict(self, data: Any) -> Any:
        """One blocking inference: input name -> array of the loaded batch; outputs by name, or in
        order.

        Returns a dict, list or tuple of arrays.
        """
        raise NotImplementedError("RuntimeBackend:predict")

    def segment_outputs(self, data: Any) -> Any:
        """Optional: tensors at the ends of segments, for the same feeds as predict: tensor name ->
        array.

        Names are those of the model's graph, as in the segments' `output_tensor_map`. They are
        compared with the reference's, so that a backend of several segments sees in which one the
        answers part.
        """
        raise NotImplementedError("RuntimeBackend:segment_outputs")

    def is_qs_mode_supported(self) -> bool:
        """True: our engine drives `predict` as `generate_qs_config` says. False: `benchmark` is
        called.
        """
        return False

    def generate_qs_config(self) -> dict[str, Any] | None:
        """How the engine shall drive this backend; asked only in QS mode. None leaves all to
        defaults.
        """
        return None

    def benchmark(self, dataloader: Any) -> Any:
        """The vendor's own timing at the loaded batch size, where QS mode is not supported.

        Returns {"BS", "QPS" (items/s), "AVG Latency", "P99 Latency" (ms)} or a list of such dicts.
        """
        raise NotImplementedError("RuntimeBackend:benchmark")
