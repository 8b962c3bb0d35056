"""The compiler's half of a backend: from a workload and a model to a compile result.

A vendor subclasses CompileBackend as `CompileBackendXXX` in `backends/XXX/compile_backend_xxx.py`.
Configs and results are plain dicts in the published spelling; their typed forms are in qs.config
and not for vendors.
"""

from __future__ import annotations

from typing import Any


class CompileBackend:
    """Base of every compile backend; constructed without arguments, once per run.

    Only `version` and `compile` have to be written. Where `get_interact_profile` or
    `get_best_batch_size` is left as it is here, the framework reads its NotImplementedError as
    None: nothing to ask, the workload's batch sizes.
    """

    # Also class attributes, for subclasses whose __init__ does not call this one.
    hardware_type: str = "UnKnown"
    need_reload: bool = False
    need_quant: bool = False

    def __init__(self) -> None:
        self.hardware_type = "UnKnown"
        self.need_reload = False
        self.need_quant = False

    def version(self) -> str:
        """Details of the compiler, as they shall stand in the report."""
        raise NotImplementedError("CompileBackend:version")

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """The configs, after any change to the model's structure before compilation.

        `configs` is {"workload": ..., "model_info": ..., "interact_info": ...}. A changed model is
        cached by the backend and named in the configs that are returned. The format stays (export
        to ONNX is allowed).
        """
        return configs

    def segment(self, configs: dict[str, Any]) -> Any:
        """Reserved: split the graph into subgraphs before they are compiled. Does nothing here."""
        return None

    def tuning(self, configs: dict[str, Any]) -> Any:
        """Reserved: improve a compilation by the results of a first run. Does nothing here."""
        return None

    def compile(self, configs: dict[str, Any], dataloader: Any = None) -> dict[str, Any]:
        """Compile for every batch size in configs["workload"]["batch_sizes"] and describe what came
        of it.

        Returned keys: model, framework, compile_precision, optimizations, instance_count,
        device_count, input_type (list), max_batch_size, compile_status ("success" only if every
        subgraph compiled), sg_percent, segments: list of {sg_idx, is_fallback, input_tensor_map,
        output_tensor_map, compiled_model: list of {compiled_bs, compiled_obj}}. Further keys reach
        the runtime backend untouched. `dataloader` is the task's Dataset, for calibration.
        """
        raise NotImplementedError("CompileBackend:compile")

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        """The questions to ask the user before compilation; None or an empty list asks nothing.

        Each has name, note, dialog_type ("Yes/No Dialog", "Radiolist Dialog", "Input Dialog"), type
        (bool, int, float, str), default, options (radio), depends (names of earlier answers that
        must be truthy).
        """
        raise NotImplementedError("CompileBackend:get_interact_profile")

    def get_best_batch_size(self) -> list[int] | None:
        """Batch sizes that suit this hardware; a list replaces the workload's, None leaves them."""
        raise NotImplementedError("CompileBackend:get_best_batch_size")
