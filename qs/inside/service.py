"""A vendor's backend and the task's data set, behind methods that take and give plain data.

Lives in the backend's own process, whose environment may hold nothing of ours but numpy; so nothing
else is imported here. The order of calls is the published one: pre_optimize, set_dataset,
best_batch_sizes, compile, configure_runtime, use_runner, load, then accuracy, numeric, benchmark or
load_target in any order. Deadlines, logs and crashes are the host's part.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.inside import reference_file, samples
from qs.inside.agreement import agreement, replay, save_item, segment_hook
from qs.inside.aliases import upstream_imports
from qs.inside.calling import limited
from qs.inside.copies import LoadedCopy, unless_left_out
from qs.inside.given import open_given
from qs.inside.loading import load_backend_class, load_dataset_classes
from qs.inside.plain import plain, restored
from qs.inside.runners import ASYNC, BACKEND, ONNXRUNTIME, FactoryRunner, OnnxRunner, artifact_file
from qs.inside.targets import (
    LoadedTarget,
    blocking,
    check_kind,
    is_coroutine,
    put_back,
    rows_of,
    target_of,
)
from qs.inside.verifying import Verifier, judged
from qs.tensors.generated import split_names
from qs.tensors.numeric import summarise
from qs.tensors.outputs import as_arrays

NOT_STATED = "not stated"


class VendorService:
    """One backend for one task. Vendor exceptions go through; what the user got wrong is a
    UserError.

    Upstream's import paths resolve from construction to `close`, since vendors also import inside
    their methods.
    """

    def __init__(self, workspace_roots: Sequence[str], backend_folder: str, hardware: str) -> None:
        self._folder = Path(backend_folder)
        self._root = str(workspace_roots[0]) if workspace_roots else str(self._folder.parent.parent)
        self._open = ExitStack()
        self._open.enter_context(upstream_imports(roots=list(workspace_roots), folder=self._folder))
        # also at the interpreter's end, while the import system is still there to be put back
        self._closing = weakref.finalize(self, self._open.close)
        self._compiler = load_backend_class(self._folder, hardware, kind="compile")()
        self._runtime_class = load_backend_class(self._folder, hardware, kind="runtime")
        self._lock = (
            threading.RLock()
        )  # targets of several instances may be loaded at once; data sets are not made for it
        self._data: samples.TaskData | None = None
        self._dataset_folder: str | None = None
        self._states: dict[str, str] = {}  # input -> output of the call before that feeds it
        self._configs: Any = (
            None  # these two as the vendor gave them; plain copies went out and come back
        )
        self._compiled: Any = None
        self._settings: tuple[Any, dict, dict] | None = None
        self._runner: dict[str, Any] = {"runner": BACKEND, "pool": None, "config": {}}
        self._copies: dict[int, LoadedCopy] = {}
        self._batches: tuple[tuple, list] | None = None

    def close(self) -> None:
        """Drop the loaded copies and give up upstream's import paths."""
        self._copies.clear()
        self._closing()

    def versions(self) -> dict[str, str]:
        return {"compile": _version(self._compiler), "runtime": _version(self._runtime_class())}

    def interact_profile(self, configs: dict[str, Any]) -> list | None:
        return plain(unless_left_out(lambda: self._compiler.get_interact_profile(configs)))

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """The configs as the backend returns them; unchanged where it returns nothing."""
        changed = self._compiler.pre_optimize(configs)
        self._configs = configs if changed is None else changed
        return plain(self._configs)

    def set_dataset(
        self,
        configs: dict[str, Any],
        dataset_folder: str | None,
        fake: bool,
        seed: int | None,
        given: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Load and preprocess the task's data. `given` is the user's own, for an artifact:
        qs.inside.given says what it holds.

        Returns {"name", "items", "kind": "dataset" | "generated" | "given", "why", "seed"}.
        """
        with self._lock:
            self._dataset_folder = dataset_folder
            self._states = dict((given or {}).get("states") or {})
            self._data = (
                open_given(configs["model_info"], given, seed)
                if given is not None
                else samples.open_data(
                    configs["model_info"], dataset_folder, fake, seed, self._root
                )
            )
            self._batches = None
        return self._data.about()

    def best_batch_sizes(self, configs: dict[str, Any]) -> list[int] | None:
        found = unless_left_out(self._compiler.get_best_batch_size)
        return [int(size) for size in found] if isinstance(found, (list, tuple)) and found else None

    def compile(self, configs: dict[str, Any]) -> dict[str, Any]:
        """The vendor's compile result, its own keys included. Objects in it stay here and go out as
        text.
        """
        configs = restored(configs, self._configs)
        self._compiler.segment(configs)
        result = self._compiler.compile(configs, self._data.dataset if self._data else None)
        if not isinstance(result, Mapping):
            raise UserError(
                f"{self._folder}: compile returned {type(result).__name__}; allowed: a dict"
            )
        self._compiled = result
        return plain(result)

    def configure_runtime(
        self, compile_result: dict[str, Any], workload: dict[str, Any], model_info: dict[str, Any]
    ) -> None:
        """What every copy of the runtime gets. A result that was compiled here keeps the vendor's
        objects.
        """
        with self._lock:
            self._settings = (restored(compile_result, self._compiled), workload, model_info)
            self._copies.clear()

    def use_runner(self, runner: str, pool: str | None, config: dict[str, Any]) -> None:
        """What computes from now on: the runtime backend (also the default), or what its QS config
        names.

        `pool` is the kind of pool that will drive it, `config` the QS config for a runner of the
        vendor's own.
        """
        with self._lock:
            self._runner = {"runner": runner, "pool": pool, "config": config}
            if runner not in (BACKEND, ASYNC):
                self._copies.clear()

    def load(self, batch_size: int) -> dict[str, Any]:
        """Load the first copy. The batch size really loaded may be another than the one asked for.

        "takes_threads": whether the runner has an attribute `placement`, through which it learns
        intra_op_threads.
        """
        with self._lock:
            begin = time.perf_counter()
            copy = self._loaded(0, batch_size, None)
            return {
                "loaded_batch_size": copy.batch_size,
                "seconds": time.perf_counter() - begin,
                "takes_threads": copy.takes_placement,
            }

    def qs_mode(self) -> dict[str, Any]:
        backend = self._copy(0).backend
        if not backend.is_qs_mode_supported():
            return {"supported": False, "config": None}
        return {"supported": True, "config": plain(backend.generate_qs_config())}

    def accuracy(
        self, data_percent: int, output_dir: str, predict_limit_s: float | None = None
    ) -> dict[str, Any]:
        """The checker's metrics at the batch size that is loaded, or {"not_measured": why}.

        Raw outputs are left in `output_dir` by the checker, as published. A predict that takes
        longer than its limit ends this process.
        """
        data = self._task_data()
        if data.kind != "dataset":
            return {"not_measured": data.why}
        _, checker_class = load_dataset_classes(self._dataset_folder or "")
        if checker_class is None:
            return {
                "not_measured": f"{self._dataset_folder} has no test_accuracy.py that could score answers"
            }
        with self._lock:
            copy = self._any_loaded()
            backend = blocking(copy.backend)
            result, _, model_info = self._need_settings()
            checker = checker_class()
            # published checkers read these off the compile result, where not every vendor puts them
            known = {
                key: model_info.get(key)
                for key in ("model", "dataset_name", "model_precision", "inputs", "outputs")
            }
            checker.configs = {**known, **result}
            checker.dataloader = data.dataset
            checker.runtime_backend = backend
            checker.output_dir = str(output_dir)
            data.dataset.rebatch(copy.batch_size)
            if not data.dataset.get_batch_count():
                few = f"the data set has {data.items} items, fewer than the loaded batch of {copy.batch_size}"
                return {"not_measured": f"{few}; run a smaller batch size first"}
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            try:
                with limited(backend, predict_limit_s, read=as_arrays):
                    metrics = plain(checker.calculate_acc(data_percent))
            finally:
                put_back(backend)
        metrics = metrics if isinstance(metrics, dict) else {"Accuracy": metrics}
        return metrics | plain(getattr(checker, "evidence", None) or {})

    def numeric(
        self, reference_npz: str, batch_size: int, items: int, predict_limit_s: float | None = None
    ) -> dict[str, Any]:
        """{"outputs": {name: metrics}, "summary": metrics, ...} against the items and outputs in a
        reference file; "segments" where the backend has segment_outputs. A predict that takes
        longer than its limit ends this process.
        """
        reference = reference_file.load(reference_npz, items)
        with self._lock:
            copy = self._loaded(0, batch_size, None)
            outputs = split_names(self._need_settings()[2].get("outputs"))
            backend = blocking(copy.backend)
            try:
                with limited(backend, predict_limit_s):
                    inside = segment_hook(copy.backend, reference, copy.batch_size)
                    return plain(
                        agreement(reference, backend.predict, copy.batch_size, outputs, inside)
                    )
            finally:
                put_back(backend)

    def numeric_item(
        self,
        reference_npz: str,
        batch_size: int,
        item: int,
        folder: str,
        predict_limit_s: float | None = None,
    ) -> dict[str, Any]:
        """One item of the comparison again: {"outputs": {name: metrics}, "files": {"reference",
        "backend", "feeds"}}.

        The three .npz in `folder` hold its arrays by name.
        """
        reference = reference_file.load(reference_npz)
        with self._lock:
            copy = self._loaded(0, batch_size, None)
            names = split_names(self._need_settings()[2].get("outputs"))
            backend = blocking(copy.backend)
            try:
                with limited(backend, predict_limit_s):
                    rows, want, got = replay(
                        reference, backend.predict, copy.batch_size, names, item
                    )
            finally:
                put_back(backend)
        files = save_item(folder, item, reference=want, backend=got, feeds=reference.feeds[item])
        found = {
            "item": item,
            "batch_size": copy.batch_size,
            "outputs": rows,
            "summary": summarise(rows),
            "files": files,
        }
        return plain(found)

    def benchmark(self, batch_size: int) -> dict | list:
        """The vendor's own numbers at that batch size, as it gives them."""
        with self._lock:
            copy = self._loaded(0, batch_size, None)
            return plain(copy.backend.benchmark(self._task_data().dataset))

    def describe_samples(self, batch_size: int, samples: Any = None) -> dict[str, Any]:
        """What load_target submits: set_dataset's answer, "distinct_batches", "items_per_batch",
        "bytes".
        """
        with self._lock:
            taken = self._batches_of(batch_size, samples)
            held = sum(array.nbytes for feeds in taken for array in feeds.values())
        about = self._task_data().about()
        return about | {
            "distinct_batches": len(taken),
            "items_per_batch": batch_size,
            "bytes": held,
        }

    def load_target(
        self,
        instance: int = 0,
        batch_size: int = 1,
        instances: int = 1,
        samples: Any = None,
        affinity: Sequence[Sequence[int]] | None = None,
        intra_op_threads: int | None = None,
        lists: bool = False,
        shared_by: int | None = None,
        verify: dict[str, Any] | None = None,
        setup: dict[str, dict[str, Any]] | None = None,
    ) -> LoadedTarget:
        """predict of copy `instance`, loaded; `.samples` are the batches to cycle.

        Those are as large as what is really loaded, `.loaded_batch_size`. The copy is loaded on the
        calling thread's CPUs, or on those that `affinity` has for the instance (one list of CPUs
        each); threads that the backend starts stay on them. `samples` is {"count", "seed"} of the
        QS config, or a count.

        lists      a query is a list of batches
        shared_by  up to so many queries share a call: loaded is a batch for all of them, and
                   `.samples` are the queries' own, `batch_size` items each
        verify     {"mode", "seed", "folder"}: keep answers there, for `verification`
        setup      method -> arguments, for a process that has not been told: set_dataset,
                   configure_runtime, use_runner
        """
        if self._settings is None:
            for method, arguments in (setup or {}).items():
                getattr(self, method)(**arguments)
        cpus = list(affinity[instance % len(affinity)]) if affinity else None
        placement = {
            "instance": instance,
            "instances": instances,
            "cpus": cpus,
            "intra_op_threads": intra_op_threads,
        }
        with self._lock:
            for spare in [
                number for number in self._copies if number >= instances and number != instance
            ]:
                del self._copies[spare]
            copy = self._loaded(instance, batch_size * (shared_by or 1), placement)
            if is_coroutine(copy.backend.predict):
                # What awaited in one event loop (a checker's, an earlier case's) may be bound to
                # it: begin anew.
                del self._copies[instance]
                copy = self._loaded(instance, batch_size * (shared_by or 1), placement)
            check_kind(copy.backend.predict, self._runner["pool"])
            taken = self._batches_of(batch_size if shared_by else copy.batch_size, samples)
        rows = rows_of(taken[0], batch_size, copy) if shared_by else None
        verifier = None
        if verify is not None:
            names = split_names(self._need_settings()[2].get("outputs"))
            verifier = Verifier(verify["mode"], verify["seed"], verify["folder"], instance, names)
            verifier.knows(() if rows else taken)
        call = target_of(copy.backend.predict, lists, rows, self._states, verifier)
        target = LoadedTarget(call, taken, loaded_batch_size=copy.batch_size)
        if verifier is None:
            return target
        return replace(
            target,
            begin_measuring=verifier.begin_measuring,
            end_measuring=verifier.end_measuring,
        )

    def verification(
        self,
        folder: str,
        mode: str,
        batch_size: int,
        samples: Any = None,
        shared_by: int | None = None,
        predict_limit_s: float | None = None,
    ) -> dict[str, Any]:
        """Judge the answers that the workers of a case left in `folder`: the arguments are those of
        its load_target.
        """
        with self._lock:
            if is_coroutine(self._copy(0).backend.predict):
                del self._copies[0]  # it may be bound to the event loop of the case
            copy = self._loaded(0, batch_size * (shared_by or 1), None)
            taken = self._batches_of(batch_size if shared_by else copy.batch_size, samples)
            result, _, model_info = self._need_settings()
            backend = blocking(copy.backend)
            try:
                with limited(backend, predict_limit_s):
                    return plain(
                        judged(
                            folder,
                            mode,
                            taken,
                            backend.predict,
                            split_names(model_info.get("outputs")),
                            result.get("compile_precision"),
                        )
                    )
            finally:
                put_back(backend)

    def _batches_of(self, batch_size: int, wanted: Any) -> list:
        count, seed = wanted, None
        if isinstance(wanted, Mapping):
            count, seed = wanted.get("count"), wanted.get("seed")
        key = (batch_size, count, seed)
        if self._batches is None or self._batches[0] != key:
            self._batches = None  # one batch size's samples at a time
            self._batches = (key, samples.batches(self._task_data(), batch_size, count, seed))
        return self._batches[1]

    def _copy(self, instance: int) -> LoadedCopy:
        if instance not in self._copies:
            result, workload, model_info = self._need_settings()
            backend = self._new_runner(instance, result, workload, model_info)
            backend.configs, backend.workload, backend.model_info = result, workload, model_info
            self._copies[instance] = LoadedCopy(backend)
        return self._copies[instance]

    def _new_runner(self, instance: int, result: Any, workload: dict, model_info: dict) -> Any:
        runner, config = self._runner["runner"], self._runner["config"]
        if runner in (BACKEND, ASYNC):
            return self._runtime_class()
        if runner == ONNXRUNTIME:
            places = [Path(self._root), self._folder, Path.cwd()]
            return OnnxRunner(
                lambda batch_size: artifact_file(
                    config.get("artifact"), result, places, batch_size
                ),
                model_info,
            )
        known = {"compile_result": result, "workload": workload, "model_info": model_info}
        return FactoryRunner(runner, {**config, **known}, instance)

    def _loaded(
        self, instance: int, batch_size: int, placement: dict[str, Any] | None
    ) -> LoadedCopy:
        copy = self._copy(instance)
        copy.load(batch_size, placement)
        return copy

    def _any_loaded(self) -> LoadedCopy:
        copy = self._copy(0)
        if copy.batch_size == 0:
            raise RuntimeError("load a batch size first")
        return copy

    def _task_data(self) -> samples.TaskData:
        if self._data is None:
            raise RuntimeError("set_dataset has not been called")
        return self._data

    def _need_settings(self) -> tuple[Any, dict, dict]:
        if self._settings is None:
            raise RuntimeError("configure_runtime has not been called")
        return self._settings


def _version(backend: Any) -> str:
    found = unless_left_out(backend.version)
    return NOT_STATED if found is None else str(found)
