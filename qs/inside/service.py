"""A vendor's backend and the task's data, behind methods that take and give plain data.

Lives in the backend's own process, whose environment may have nothing of ours but numpy; so nothing
else is imported here. The order of calls is the published one: pre_optimize, set_dataset,
best_batch_sizes, compile, configure_runtime, use_runner, load, then accuracy, numeric, benchmark or
load_target in any order. Deadlines, logs and crashes are the host's business.
"""

from __future__ import annotations

import reprlib
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from qs.base import bounds
from qs.base.errors import UserError
from qs.inside import samples
from qs.inside.agreement import agreement, replay, save_item, segment_hook
from qs.inside.calling import blocking
from qs.inside.copies import Copies, LoadedCopy, unless_left_out
from qs.inside.driving import Drive, Loaded, LoadedTarget, target_for
from qs.inside.imports import upstream_imports
from qs.inside.interact_info import with_path
from qs.inside.judging import Idle, ask_after, ask_before
from qs.inside.loading import load_backend_class, load_dataset_classes
from qs.inside.null_run import described, real_answer
from qs.inside.plain import plain, restored
from qs.inside.reference_items import load_reference
from qs.inside.runners import Runner, Runtimes, RuntimeSettings
from qs.inside.samples import Task
from qs.inside.started import with_runner
from qs.inside.stating import stating_of
from qs.inside.targets import check_kind, rows_of
from qs.tensors.numeric import summarise
from qs.tensors.outputs import as_arrays

NOT_STATED = "not stated"
MOST_RECOMMENDED = 100  # batch sizes: each is a case of its own


class VendorService:
    """One backend for one task. Vendor exceptions pass through; the user's mistakes are a
    UserError.

    Upstream's import paths resolve from construction to `close`, since vendors also import inside
    their methods.
    """

    def __init__(self, workspace_roots: Sequence[str], backend_folder: str, hardware: str) -> None:
        self._folder = Path(backend_folder)
        self._root = str(workspace_roots[0]) if workspace_roots else str(self._folder.parent.parent)
        imports = ExitStack()
        imports.enter_context(upstream_imports(roots=list(workspace_roots), folder=self._folder))
        # also at the interpreter's end, while the import system is still there to be put back
        self._closing = weakref.finalize(self, imports.close)
        self.compiler = load_backend_class(self._folder, hardware, kind="compile")()
        self.runtime_class = load_backend_class(self._folder, hardware, kind="runtime")
        # Targets of several instances may be loaded at once; data sets are not made for it.
        self._lock = threading.RLock()
        # The configs and the compile result as the vendor gave them; plain copies went out and come
        # back.
        self._own_configs: Any = None
        self._own_result: Any = None
        self._runner = Runner()
        self._task: Task | None = None
        self._settings: RuntimeSettings | None = None
        self._copies: Copies | None = None

    def close(self) -> None:
        """Drop the loaded copies and give up upstream's import paths."""
        self._copies = None
        self._closing()

    @property
    def settings(self) -> RuntimeSettings:
        if self._settings is None:
            raise RuntimeError("configure_runtime has not been called")
        return self._settings

    @property
    def copies(self) -> Copies:
        if self._copies is None:
            raise RuntimeError("configure_runtime has not been called")
        return self._copies

    @property
    def task(self) -> Task:
        if self._task is None:
            raise RuntimeError("set_dataset has not been called")
        return self._task

    def versions(self, compile_result: dict[str, Any] | None = None) -> dict[str, str]:
        """Of both classes; the runtime's with the compile result, where there is one."""
        runtime = self.runtime_class()
        if compile_result is not None:
            runtime.configs = restored(compile_result, self._own_result)
        return {"compile": _version(self.compiler), "runtime": _version(runtime)}

    def interact_profile(self, configs: dict[str, Any]) -> list | None:
        given = with_path(configs)
        return plain(unless_left_out(lambda: self.compiler.get_interact_profile(given)))

    def pre_optimize(self, configs: dict[str, Any]) -> dict[str, Any]:
        """The configs as the backend returns them; unchanged if it returns nothing."""
        configs = with_path(configs)
        changed = self.compiler.pre_optimize(configs)
        self._own_configs = configs if changed is None else changed
        return plain(self._own_configs)

    def set_dataset(
        self,
        configs: dict[str, Any],
        dataset_folder: str | None,
        fake: bool,
        seed: int | None,
        given: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Load and preprocess the task's data. `given` is the user's own, for an artifact: see
        samples.open_given.

        Returns {"name", "items", "kind": "dataset" | "generated" | "given", "why", "seed"}.
        """
        info = configs["model_info"]
        with self._lock:
            if given is not None:
                data = samples.open_given(info, given, seed)
            else:
                data = samples.open_data(info, dataset_folder, fake, seed, self._root)
            self._task = Task(data, dataset_folder, (given or {}).get("states"))
        if getattr(self.compiler, "dataloader", data) is None:
            self.compiler.dataloader = data.dataset
        return data.about()

    def best_batch_sizes(self, configs: dict[str, Any]) -> list[int] | None:
        found = unless_left_out(self.compiler.get_best_batch_size)
        if not isinstance(found, (list, tuple)) or not found:
            return None
        sizes = [int(size) for size in found[: bounds.CASES]]
        if len(found) > MOST_RECOMMENDED or not all(1 <= size <= bounds.BATCH for size in sizes):
            raise UserError(
                f"{self._folder}: get_best_batch_size returned {reprlib.repr(found)}; allowed: up "
                f"to {MOST_RECOMMENDED} whole numbers from 1 to {bounds.BATCH:,}"
            )
        return list(dict.fromkeys(sizes))

    def compile(self, configs: dict[str, Any]) -> dict[str, Any]:
        """The vendor's compile result, its own keys included. Objects in it stay here and go out as
        text.
        """
        configs = with_path(restored(configs, self._own_configs))
        self.compiler.segment(configs)
        result = self.compiler.compile(configs, self._task.data.dataset if self._task else None)
        if not isinstance(result, Mapping):
            kind = type(result).__name__
            raise UserError(f"{self._folder}: compile returned {kind}; allowed: a dict")
        self._own_result = result
        return plain(result)

    def configure_runtime(
        self, compile_result: dict[str, Any], workload: dict[str, Any], model_info: dict[str, Any]
    ) -> None:
        """What every copy of the runtime gets. A result that was compiled here keeps the vendor's
        objects.
        """
        with self._lock:
            result = restored(compile_result, self._own_result)
            self._settings = RuntimeSettings(result, workload, model_info)
            self._copies = self._no_copies()

    def use_runner(self, runner: str, pool: str | None, config: dict[str, Any]) -> None:
        """What computes from now on: the runtime backend (also the default), or what its QS config
        names.

        `pool` is the kind of pool that will drive it, `config` the QS config for a runner of the
        vendor's own.
        """
        with self._lock:
            before, self._runner = self._runner, Runner(runner, pool, config)
            if self._copies is not None and not (before.is_backend and self._runner.is_backend):
                self._copies = self._no_copies()
            if self._copies is not None and self._runner.is_backend:
                check_kind(self.copies[0].backend, pool)

    def load(self, batch_size: int) -> dict[str, Any]:
        """Load the first copy. The batch size really loaded may differ from the one asked for.

        "takes_threads": whether the runner has an attribute `placement`, through which it learns
        intra_op_threads.
        """
        with self._lock:
            begin = time.perf_counter()
            copy = self.copies.loaded(0, batch_size)
            size, seconds = copy.batch_size, time.perf_counter() - begin
            told = copy.takes_placement
            return {"loaded_batch_size": size, "seconds": seconds, "takes_threads": told}

    def qs_mode(self) -> dict[str, Any]:
        backend = self.copies[0].backend
        supported = backend.is_qs_mode_supported()
        config = with_runner(backend.generate_qs_config(), backend) if supported else None
        return {"supported": bool(supported), "config": plain(config)}

    def accuracy(
        self, data_percent: int, output_dir: str, predict_limit_s: float | None = None
    ) -> dict[str, Any]:
        """The checker's metrics at the batch size that is loaded, or {"not_measured": why}.

        Raw outputs are left in `output_dir` by the checker, as published. A predict that takes
        longer than its limit ends this process.
        """
        data, folder = self.task.data, self.task.dataset_folder or ""
        if data.kind != "dataset":
            return {"not_measured": data.why}
        _, checker_class = load_dataset_classes(folder)
        if checker_class is None:
            return {"not_measured": f"{folder} has no test_accuracy.py that could score answers"}
        with self._lock:
            copy, settings = self._first_loaded(), self.settings
            data.dataset.rebatch(copy.batch_size)
            if not data.dataset.get_batch_count():
                loaded = f"fewer than the loaded batch of {copy.batch_size}"
                few = f"the data set has {data.items} items, {loaded}"
                return {"not_measured": f"{few}; run a smaller batch size first"}
            checker = checker_class()
            # published checkers read these off the compile result, where not every vendor puts them
            names = ("model", "dataset_name", "model_precision", "inputs", "outputs")
            known = {name: settings.model_info.get(name) for name in names}
            checker.configs = {**known, **settings.compile_result}
            checker.dataloader = data.dataset
            checker.output_dir = str(output_dir)
            Path(output_dir).mkdir(parents=True, exist_ok=True)
            with blocking(copy.backend, predict_limit_s, read=as_arrays) as backend:
                checker.runtime_backend = backend
                metrics = plain(checker.calculate_acc(data_percent))
        metrics = metrics if isinstance(metrics, dict) else {"Accuracy": metrics}
        return metrics | plain(getattr(checker, "evidence", None) or {})

    def numeric(
        self, reference_npz: str, batch_size: int, items: int, predict_limit_s: float | None = None
    ) -> dict[str, Any]:
        """{"outputs": {name: metrics}, "summary": metrics, ...} against the items and outputs in a
        reference file; "segments" if the backend has segment_outputs. A predict that takes longer
        than its limit ends this process.
        """
        reference = load_reference(reference_npz, items)
        with self._lock:
            copy, names = self.copies.loaded(0, batch_size), self.settings.outputs
            with blocking(copy.backend, predict_limit_s) as backend:
                inside = segment_hook(copy.backend, reference, copy.batch_size)
                return plain(agreement(reference, backend.predict, copy.batch_size, names, inside))

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
        reference = load_reference(reference_npz)
        with self._lock:
            copy, names = self.copies.loaded(0, batch_size), self.settings.outputs
            with blocking(copy.backend, predict_limit_s) as backend:
                rows, want, got = replay(reference, backend.predict, copy.batch_size, names, item)
        files = save_item(folder, item, reference=want, backend=got, feeds=reference.feeds[item])
        found = {
            "item": item,
            "batch_size": copy.batch_size,
            "outputs": rows,
            "summary": summarise(rows),
            "files": files,
        }
        return plain(found)

    def benchmark(
        self, batch_size: int, telemetry_s: float | None = None, folder: str | None = None
    ) -> dict | list:
        """The vendor's own numbers at that batch size, as it gives them. `telemetry_s` and
        `folder`: as for Drive.
        """
        with self._lock, ExitStack() as meanwhile:
            copy = self.copies.loaded(0, batch_size)
            for stating in stating_of(copy.backend, telemetry_s, folder):
                meanwhile.enter_context(stating)
            return plain(copy.backend.benchmark(self.task.data.dataset))

    def describe_samples(self, batch_size: int, samples: Any = None) -> dict[str, Any]:
        """What load_target submits: set_dataset's answer, "distinct_batches", "items_per_batch",
        "bytes", and "shapes" of the first batch, by input.
        """
        with self._lock:
            taken = self.task.batches(batch_size, samples)
        return self.task.data.about() | described(taken, batch_size)

    def real_answer(self, batch_size: int, samples: Any = None) -> dict[str, Any]:
        """What a server answers to the first of these batches; see qs.inside.null_run."""
        return real_answer(self.copies[0].backend, self.task.batches(batch_size, samples)[0])

    def load_target(
        self,
        instance: int = 0,
        setup: Mapping[str, Mapping[str, Any]] | None = None,
        **how: Any,
    ) -> LoadedTarget:
        """Copy `instance`, loaded, as the engine drives it; `.samples` are the batches to cycle
        through, or the requests made of them, and `.loaded_batch_size` is what is really loaded.

        The copy is loaded on its own CPUs (see Drive.affinity); threads that the backend starts
        stay on them.

        setup   method -> arguments, for a process in which nothing was called before: set_dataset,
                configure_runtime, use_runner
        how     the fields of Drive
        """
        if self._settings is None:
            for method, arguments in (setup or {}).items():
                getattr(self, method)(**arguments)
        drive = Drive(**how)
        with self._lock:
            self.copies.keep(drive.instances, instance)
            self.copies.renew(instance)
            copy = self.copies.loaded(instance, drive.to_load, drive.placement(instance))
            taken = self.task.batches(drive.sample_size(copy.batch_size), drive.samples)
        axes = self.settings.model_info.get("input_batch_axis") or {}
        rows = rows_of(taken[0], drive.batch_size, copy, axes) if drive.shared_by else None
        stating = stating_of(copy.backend, drive.telemetry_s, drive.folder, instance)
        names, states = self.settings.outputs, self.task.states
        backend, size = copy.backend, copy.batch_size
        loaded = Loaded(backend, size, instance, names, rows, states, axes, stating)
        return target_for(loaded, taken, drive, self._runner.pool)

    def idle_answers(
        self,
        folder: str,
        mode: str | None,
        reference_npz: str | None,
        predict_limit_s: float | None = None,
        **how: Any,
    ) -> str | None:
        """Before a case: leave the idle answers that `verification` compares with in `folder`, and
        return what is wrong with them, or None. The reference's first batch comes last: answers
        that are right then come from a backend that was right before. Without a mode one sample is
        enough. `how` is what load_target is given: batch_size, samples, shared_by.
        """
        reference = None if reference_npz is None else load_reference(reference_npz)
        with self._lock, self._idle(Drive(**how), predict_limit_s) as (idle, copy):
            return ask_before(idle, folder, mode, reference, copy.batch_size)

    def verification(
        self,
        folder: str,
        mode: str | None,
        predict_limit_s: float | None = None,
        **how: Any,
    ) -> dict[str, Any]:
        """After a case: {"changed": why the idle backend no longer answers as before it, or None},
        and with a mode "found", the judgement of the answers that its workers left in `folder`;
        None if there can be none.
        """
        with self._lock, self._idle(Drive(**how), predict_limit_s) as (idle, _):
            return plain(ask_after(idle, folder, mode))

    @contextmanager
    def _idle(self, drive: Drive, limit_s: float | None) -> Iterator[tuple[Idle, LoadedCopy]]:
        """The first copy at the batch size of a case, to be asked the samples of that case."""
        self.copies.renew(0)
        copy = self.copies.loaded(0, drive.to_load)
        taken = self.task.batches(drive.sample_size(copy.batch_size), drive.samples)
        precision = self.settings.compile_result.get("compile_precision")
        with blocking(copy.backend, limit_s) as backend:
            texts = getattr(copy.backend, "texts", None)
            yield Idle(taken, backend.predict, self.settings.outputs, precision, texts), copy

    def _no_copies(self) -> Copies:
        # What makes them must not hold this service: in a debugger's process it gives up upstream's
        # import paths when it is let go of.
        places = (Path(self._root), self._folder, Path.cwd())
        return Copies(Runtimes(self.runtime_class, self._runner, self.settings, places).make)

    def _first_loaded(self) -> LoadedCopy:
        copy = self.copies[0]
        if copy.batch_size == 0:
            raise RuntimeError("load a batch size first")
        return copy


def _version(backend: Any) -> str:
    found = unless_left_out(backend.version)
    return NOT_STATED if found is None else str(found)
