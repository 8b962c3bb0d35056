"""From a resolved model to a compile result: questions, pre_optimize, data set, batch sizes,
compile. All of it in the backend's host.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qs.evaluate.backend import Backend
from qs.evaluate.prepare import Prepared


@dataclass(frozen=True)
class Compiled:
    """What compiling brought. `raw` is the compile result as the backend gave it, its own keys
    included.
    """

    configs: dict[str, Any]
    raw: dict[str, Any]
    versions: dict[str, str]
    dataset: dict[str, Any]
    best_batch_sizes: list[int] | None
    seconds: float
    warnings: tuple[str, ...]


def configs_for(prepared: Prepared, resolved: dict[str, Any]) -> dict[str, Any]:
    """The published `configs`, before any answer: the batch sizes of the command line stand in the
    workload already.
    """
    workload = prepared.workload.to_configs()
    request = prepared.request
    asked = {
        "clients": request.clients,
        "iterations": request.iterations,
        "batch_sizes": list(request.batch_sizes) if request.batch_sizes else None,
        "instances": request.instances,
    }
    workload |= {name: value for name, value in asked.items() if value is not None}
    model_info = with_files(prepared.model_info.to_configs(), resolved) | {
        "model_path": resolved["path"]
    }
    # A sweep that names no batch sizes wants the backend's analysis of them; a backend may look
    # here for it.
    wanted = {
        "command": request.kind,
        "analyse_batch_sizes": request.kind == "sweep" and not request.batch_sizes,
    }
    return {"workload": workload, "model_info": model_info, "interact_info": {}, "qs": wanted}


def with_files(model_info: dict[str, Any], resolved: dict[str, Any]) -> dict[str, Any]:
    """The model info with `dataset_files`, name -> path, where the data set's own sources gave
    some: its loader reads them there.
    """
    files = {name: each["path"] for name, each in resolved.get("dataset_files", {}).items()}
    return model_info | {"dataset_files": files} if files else model_info


async def compile_model(
    backend: Backend,
    prepared: Prepared,
    resolved: dict[str, Any],
    say: Any,
    keep_answers: Callable[[dict[str, Any], dict[str, str]], None] = lambda answers, origins: None,
) -> Compiled:
    """Run the steps of the published order up to and including `compile`.

    `keep_answers` gets the answers and their origins as soon as they are settled: what a person
    typed outlives a compiler that fails.
    """
    configs = configs_for(prepared, resolved)
    versions = await backend.versions()
    profile = await backend.interact_profile(configs)
    settled, warnings = await _settled(profile, prepared, say)
    configs["interact_info"] = settled.answers
    keep_answers(settled.answers, settled.origins)
    configs = await backend.pre_optimize(configs)
    dataset = await backend.set_dataset(configs)
    best = await backend.best_batch_sizes(configs)
    if best and not prepared.request.batch_sizes:
        configs["workload"]["batch_sizes"] = list(best)
        say(f"batch sizes from the backend's own analysis: {', '.join(map(str, best))}")
    begin = time.perf_counter()
    raw = await backend.compile(configs)
    return Compiled(
        configs,
        raw,
        versions,
        dataset,
        list(best) if best else None,
        time.perf_counter() - begin,
        tuple(warnings),
    )


async def _settled(raw: Any, prepared: Prepared, say: Any) -> tuple[Any, list[str]]:
    """The answers to the backend's questions, asked at the terminal where there is one, and
    warnings.
    """
    from qs.config.interact import parse_profile
    from qs.interact.asking import answers_of, silence

    request = prepared.request
    profile, warnings = parse_profile(raw, f"the interact profile of {prepared.hardware}")
    source = str(request.answers) if request.answers else None
    settled = await answers_of(
        profile, prepared.given_answers, source, silence(request.no_input), say
    )
    return settled, [*warnings, *settled.warnings]
