"""The compiler of a backend: from a workload and a model to a compile result.

A vendor subclasses CompileBackend as `CompileBackendXXX` in `backends/XXX/compile_backend_xxx.py`.
Configs and results are plain dicts in the published spelling.
"""

from __future__ import annotations

from typing import Any


class CompileBackend:
    """Base of every compile backend; constructed without arguments, once per run.

    Only `version` and `compile` are required. The framework takes NotImplementedError from
    `get_interact_profile` as no questions, and from `get_best_batch_size` as the workload's batch
    sizes.
    """

    # Class attributes too, for subclasses whose __init__ does not call this one.
    hardware_type: str = "UnKnown"
    need_reload: bool = False
    need_quant: bool = False
    model_formats: tuple[str, ...] = ()
    """The formats of models that this backend reads, best first: ("onnx", "pt"). The framework then
    gives it the first of them that the model is, or can be converted to; without any, the model in
    the format that its model info states. Read from the source, so that it is a literal."""
    dataloader: Any = None
    """The task's Dataset, set by the framework before `get_best_batch_size`."""

    def __init__(self) -> None:
        self.hardware_type = "UnKnown"
        self.need_reload = False
        self.need_quant = False

    def version(self) -> str:
        """The compiler's version and details, for the report."""
        raise NotImplementedError("CompileBackend:version")

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """Change the model's structure before compilation, and return the configs.

        `configs` is {"workload": ..., "model_info": ..., "interact_info": ...}. The backend caches
        a changed model and names it in the returned configs. The format stays the same (export to
        ONNX is allowed).
        """
        return configs

    def segment(self, configs: dict[str, Any]) -> Any:
        """Reserved: split the graph into subgraphs before compilation. Does nothing here."""
        return None

    def tuning(self, configs: dict[str, Any]) -> Any:
        """Reserved: improve a compilation after a first run. Does nothing here."""
        return None

    def compile(self, configs: dict[str, Any], dataloader: Any = None) -> dict[str, Any]:
        """Compile for every batch size in `configs["workload"]["batch_sizes"]` and describe
        the result.

        Returned keys: model, framework, compile_precision, optimizations, instance_count,
        device_count, input_type (list), max_batch_size, compile_status ("success" only if every
        subgraph compiled), sg_percent, segments: list of {sg_idx, is_fallback, input_tensor_map,
        output_tensor_map, compiled_model: list of {compiled_bs, compiled_obj}}. Further keys are
        passed to the runtime backend. `dataloader` is the task's Dataset, for calibration.
        """
        raise NotImplementedError("CompileBackend:compile")

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        """Questions to the user before compilation; None or an empty list for none.

        Each has name, note, dialog_type ("Yes/No Dialog", "Radiolist Dialog", "Input Dialog"), type
        (bool, int, float, str), default, options (radio), depends (names of earlier questions
        whose answers must be truthy).
        """
        raise NotImplementedError("CompileBackend:get_interact_profile")

    def get_best_batch_size(self) -> list[int] | None:
        """Batch sizes that suit this hardware, in place of the workload's; None keeps those."""
        raise NotImplementedError("CompileBackend:get_best_batch_size")
