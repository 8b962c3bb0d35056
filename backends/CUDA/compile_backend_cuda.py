"""The CUDA backend's compiler: checks that a GPU can be used, opens the model there, tries it at as
many batch sizes as a few seconds allow, and looks where its nodes really ran.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from qs import CompileBackend
from qs.contract.compiling import (
    batch_sizes_of,
    best_batch_sizes,
    compile_result,
    feeds_of,
    onnx_file,
    try_batch_sizes,
    wants_analysis,
)
from qs.contract.tools import (
    bind_inputs,
    bind_outputs,
    doubts,
    file_tensors,
    is_dynamic,
    onnx_sentence,
)

from . import sessions
from .answers import PROVIDERS, answers_of


class CompileBackendCUDA(CompileBackend):
    """Keeps the configs of pre_optimize between the calls of one run."""

    model_formats = ("onnx",)

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "CUDA"
        self._configs: dict[str, Any] | None = None

    def version(self) -> str:
        return f"ONNX Runtime {sessions.runtime().__version__} (GPU)"

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        return json.loads(Path(__file__).with_name("CUDA.json").read_text())

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """Nothing is changed; answers, the model's file and the GPUs are checked before data is
        read.
        """
        answers = answers_of(configs.get("interact_info"))
        path = onnx_file(configs["model_info"], __file__)
        for device_id in dict.fromkeys(answers.device_ids):
            sessions.open_session(path, answers, device_id)
        self._configs = configs
        return configs

    def get_best_batch_size(self) -> list[int] | None:
        """The sizes that no other beats, measured now, if the answer `tune_batch_sizes` is true or
        a sweep asks; else None.
        """
        configs = self._configs
        if configs is None or not wants_analysis(configs):
            return None
        answers = answers_of(configs.get("interact_info"))
        path = onnx_file(configs["model_info"], __file__)
        session = sessions.open_session(path, answers, answers.device_ids[0])
        bound, _ = bind_inputs(configs["model_info"], file_tensors(session.get_inputs()), str(path))
        return best_batch_sizes(partial(session.run, None), configs, bound, self.dataloader)

    def compile(self, configs: dict[str, Any], dataloader: Any = None) -> dict[str, Any]:
        answers = answers_of(configs.get("interact_info"))
        info = configs["model_info"]
        path = onnx_file(info, __file__)
        session = sessions.open_session(path, answers, answers.device_ids[0])
        bound, notes = bind_inputs(info, file_tensors(session.get_inputs()), str(path))
        outputs, more = bind_outputs(info, [node.name for node in session.get_outputs()])
        sizes = batch_sizes_of(configs["workload"])
        run = partial(session.run, None)
        tried = try_batch_sizes(run, info, bound, sizes, dataloader, onnx_sentence)
        del session, run  # one copy of the weights in memory at a time
        least = feeds_of(info, bound, min(tried.good), dataloader)
        nodes = sessions.placement(path, answers, least)
        placed, total = sessions.on_gpu(nodes), sum(nodes.values())
        warnings = doubts([*notes, *more])
        if placed < total:
            warnings.append(f"{total - placed} of {total} nodes run on the CPU, not on the GPU")
        return compile_result(
            info,
            bound,
            [reported for _, reported in outputs],
            tried,
            str(path),
            compile_precision=answers.precision,
            optimizations={
                "provider": PROVIDERS[answers.provider],
                "inputs": "through pinned host memory" if answers.io_binding else "as they come",
                "outputs": "stay on the GPU" if answers.keep_outputs else "on the host",
            },
            device_count=len(set(answers.device_ids)),
            sg_percent=100.0 * placed / total,
            dynamic_batch=is_dynamic(bound) and answers.provider == "CUDA",
            cuda=answers.to_dict(),
            nodes_by_provider=nodes,
            warnings=warnings,
            notes=[*notes, *more],
        )
