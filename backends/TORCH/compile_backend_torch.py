"""The TORCH backend's compiler: opens the model as torch runs it, tries it at the batch sizes that
will be measured, and notes how the runtime has to load it.

What torch optimizes or compiles lives in the process that did it, so that each instance does it
again when it loads, before anything is measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from qs import CompileBackend
from qs.contract import cores
from qs.contract.compiling import (
    batch_sizes_of,
    best_batch_sizes,
    compile_result,
    feeds_of,
    try_batch_sizes,
    wants_analysis,
)
from qs.contract.tools import UserError, batch_fault, doubts, is_dynamic
from qs.contract.torch_files import Doubt

from .answers import Answers, answers_of
from .devices import device_for
from .modes import AUTOCAST, CAST, Ready
from .opening import Opened, model_file, open_model
from .outputs import picked
from .words import sentence

# A request below this is as fast with one thread, which leaves the other cores to other clients.
SMALL_REQUEST_S = 0.002


class CompileBackendTORCH(CompileBackend):
    """Keeps the configs of pre_optimize between the calls of one run."""

    model_formats = ("pt", "pt2", "safetensors")

    def __init__(self) -> None:
        super().__init__()
        self.hardware_type = "TORCH"
        self._configs: dict[str, Any] | None = None

    def version(self) -> str:
        import torch

        return f"PyTorch {torch.__version__}"

    def get_interact_profile(self, config: dict[str, Any]) -> list[dict[str, Any]] | None:
        return json.loads(Path(__file__).with_name("TORCH.json").read_text())

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """The configs as they are. UserError for answers that this machine cannot give, and for a
        model file that torch does not read.
        """
        model_file(configs["model_info"])
        answers_of(configs)
        self._configs = configs
        return configs

    def get_best_batch_size(self) -> list[int] | None:
        """The sizes that no other beats, measured now, if the answer `tune_batch_sizes` is true or
        a sweep asks; else None.
        """
        configs = self._configs
        if configs is None or not wants_analysis(configs):
            return None
        answers = answers_of(configs)
        _use_threads(answers.threads)
        info = configs["model_info"]
        least = min(batch_sizes_of(configs["workload"]))
        opened, ready, _ = _prepared(info, answers, least, self.dataloader)
        return best_batch_sizes(
            partial(_run, ready, opened), configs, opened.bound, self.dataloader
        )

    def compile(self, configs: dict[str, Any], dataloader: Any = None) -> dict[str, Any]:
        info, answers = configs["model_info"], answers_of(configs)
        threads = answers.threads
        _use_threads(threads)
        sizes = batch_sizes_of(configs["workload"])
        opened, ready, casting = _prepared(info, answers, min(sizes), dataloader)
        run = partial(_run, ready, opened)
        tried = try_batch_sizes(run, info, opened.bound, sizes, dataloader, sentence)
        given = _arrays(opened, feeds_of(info, opened.bound, min(tried.good), dataloader))
        before = [array.copy() for array in given]
        pairs, more = picked(info, ready.raw(given))
        writes = [
            fed.declared
            for fed, array, own in zip(opened.bound, given, before, strict=True)
            if array.tobytes() != own.tobytes()
        ]
        if not answers.intra_op_threads and list(tried.sizes) == sorted(tried.good):
            feeds = feeds_of(info, opened.bound, max(tried.good), dataloader)
            threads = _fewest_threads(partial(run, feeds), threads)
        kept = answers.keep_outputs and answers.device != "cpu"
        notes = [*opened.notes, *more, *_said(answers, casting, kept, writes)]
        precision = "" if answers.precision == "fp32" else answers.precision.upper()
        return compile_result(
            info,
            opened.bound,
            [reported for _, reported in pairs],
            tried,
            str(opened.path),
            compile_precision=precision or str(info.get("model_precision") or "FP32").upper(),
            optimizations={
                "mode": answers.mode,
                "device": answers.device,
                "precision": answers.precision + (", autocast" if casting == AUTOCAST else ""),
                "outputs": f"stay on {answers.device}" if kept else "on the host",
            },
            device_count=cores.package_count(cores.usable_cpus()) if answers.device == "cpu" else 1,
            dynamic_batch=is_dynamic(opened.bound),
            intra_op_threads=threads,
            intra_op_threads_asked=bool(answers.intra_op_threads),
            torch_answers=answers.to_dict(),
            torch_casting=casting,
            torch_outputs=[list(pair) for pair in pairs],
            torch_writes_inputs=bool(writes),
            warnings=doubts(notes),
            notes=[str(note) for note in notes],
        )


def _prepared(
    info: dict[str, Any], answers: Answers, least: int, dataloader: Any
) -> tuple[Opened, Ready, str]:
    """The model made ready, and the casting with which it runs in a reduced precision."""
    device = device_for(answers.device, answers.keep_outputs)
    opened = open_model(info)
    ready = Ready(opened, answers, device)
    if answers.precision == "fp32" or batch_fault(opened.bound, least):
        return opened, ready, CAST
    try:
        _run(ready, opened, feeds_of(info, opened.bound, least, dataloader))
    except UserError:
        raise
    except Exception:  # types that do not fit each other; the trial tells of anything else
        opened = open_model(info)
        return opened, Ready(opened, answers, device, AUTOCAST), AUTOCAST
    return opened, ready, CAST


def _run(ready: Ready, opened: Opened, feeds: dict[str, Any]) -> object:
    return ready.run(_arrays(opened, feeds))


def _arrays(opened: Opened, feeds: dict[str, Any]) -> list[np.ndarray]:
    """Copies: the model may write into them."""
    return [np.array(feeds[fed.file], order="C") for fed in opened.bound]


def _use_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _fewest_threads(run: Callable[[], object], threads: int) -> int:
    """One thread if even the largest batch is then a small request, else `threads`."""
    if threads == 1 or _seconds(run) > 100 * SMALL_REQUEST_S:
        return threads
    _use_threads(1)
    # TorchScript profiles its first two runs
    least_s = min(_seconds(run) for _ in range(6))
    _use_threads(threads)
    return 1 if least_s < SMALL_REQUEST_S else threads


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _said(answers: Answers, casting: str, kept: bool, writes: list[str]) -> list[str]:
    """What whoever reads the numbers has to know."""
    notes: list[str] = []
    if kept:
        notes.append(
            Doubt(
                f"outputs stay on {answers.device}: response times are without their way to the "
                "host"
            )
        )
    elif answers.keep_outputs:
        notes.append("outputs on the CPU are on the host: keep_outputs changes nothing")
    if answers.precision == "bf16":
        notes.append("outputs in bfloat16 are handed on as float32, which numpy has")
    if casting == AUTOCAST:
        notes.append(
            Doubt(
                f"the model fixes types of its own, so that it runs in {answers.precision} by "
                "torch.autocast, which casts the weights at every call; export it in "
                f"{answers.precision} for its full speed"
            )
        )
    if writes:
        notes.append(
            Doubt(f"the model writes into its inputs ({', '.join(writes)}): it is given copies")
        )
    return notes
