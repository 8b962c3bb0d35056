"""The compiler of a backend of servers: nothing is compiled. It looks at what a server serves,
matches it with the task's model, and tries it.

The task's model file stays what the reference is computed from; what answers is the server's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from qs.contract.compile_backend import CompileBackend
from qs.contract.compiling import (
    Tried,
    batch_sizes_of,
    best_batch_sizes,
    compile_result,
    try_batch_sizes,
    wants_analysis,
)
from qs.contract.tools import UserError, doubts, is_dynamic
from qs.remote.answers import address_of, asked_of
from qs.remote.binding import fault_of_size
from qs.remote.driven import Driven, facts


class ServedCompileBackend(CompileBackend):
    """Keeps what it saw of the server between the calls of one run. A subclass names itself."""

    backend = ""
    """Its name, by which qs.remote.address knows its schemes."""
    speaks = ""
    """What it speaks, for the report."""

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = self.backend
        self._driven: Driven | None = None
        self._configs: dict[str, Any] | None = None

    def version(self) -> str:
        return self.speaks

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """The configs. UserError if the server is not there or not ready in time, or serves a model
        that takes or gives other tensors.
        """
        if self._driven is not None:
            self._driven.close_asking()
        self._driven = Driven(asked_of(configs, self.backend), configs["model_info"])
        self._driven.look()
        self._configs = configs
        return configs

    def get_best_batch_size(self) -> list[int] | None:
        """Those of the task that the server takes, if it does not take all; measured, if the answer
        `tune_batch_sizes` is true or a sweep asks.
        """
        driven, configs = self._driven, self._configs
        if driven is None or configs is None:
            return None
        served, bound = driven.model()
        asked = batch_sizes_of(configs["workload"])
        fitting = [size for size in asked if fault_of_size(served, bound, size) is None]
        if not wants_analysis(configs):
            return fitting if fitting and fitting != asked else None
        info = configs["model_info"]
        if served.max_batch_size:
            most = min(served.max_batch_size, int(info.get("max_batch_size") or 1 << 20))
            info = {**info, "max_batch_size": most}
        workload = {**configs["workload"], "batch_sizes": fitting or [1]}
        known = {**configs, "model_info": info, "workload": workload}
        return best_batch_sizes(driven.infer, known, bound.inputs, self.dataloader)

    def compile(self, configs: dict[str, Any], dataloader: Any = None) -> dict[str, Any]:
        if self._driven is None:
            self.pre_optimize(configs)
        assert self._driven is not None
        driven, info = self._driven, configs["model_info"]
        served, bound = driven.model()
        asked = driven.serving.asked
        sizes = batch_sizes_of(configs["workload"])
        unfit = {size: why for size in sizes if (why := fault_of_size(served, bound, size))}
        fitting = [size for size in sizes if size not in unfit]
        if not fitting:
            told = "; ".join(f"batch size {size}: {why}" for size, why in unfit.items())
            raise UserError(f"{address_of(asked)} takes none of the batch sizes: {told}")
        tried: Tried = try_batch_sizes(
            driven.infer, info, bound.inputs, fitting, dataloader, none="no inference succeeded"
        )
        tried = replace(tried, faults={**unfit, **tried.faults})
        precision = (configs.get("interact_info") or {}).get("precision")
        stated = {"compile_precision": str(precision).upper()} if precision else {}
        return compile_result(
            info,
            bound.inputs,
            [reported for _, reported in bound.outputs],
            tried,
            address_of(asked),
            optimizations={"server": "as the server has it"},
            max_batch_size=served.max_batch_size or info.get("max_batch_size"),
            dynamic_batch=is_dynamic(bound.inputs),
            warnings=doubts(bound.notes),
            notes=list(bound.notes),
            url=address_of(asked),
            served=facts(served),
            asked=asked.plain(),
            **stated,
        )
