"""What takes a runtime backend's place if its QS config names another runner.

Both runners have as much of the backend's interface as a loaded copy needs: load,
get_loaded_batch_size, predict, placement. `predict` of either takes a batch's feeds. The QS config
chooses the runner; the engine drives it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.inside.own_names import import_for
from qs.tensors.generated import split_names
from qs.tensors.onnx_io import batch_fault, bind_inputs, bind_outputs, file_tensors, is_dynamic

BACKEND, ASYNC, ONNXRUNTIME = "backend", "async", "onnxruntime"


@dataclass(frozen=True)
class Runner:
    """What computes: the runtime backend, or what its QS config names. `pool` is the kind of pool
    that will drive it, `config` the QS config for a runner of the vendor's own.
    """

    name: str = BACKEND
    pool: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_backend(self) -> bool:
        return self.name in (BACKEND, ASYNC)


@dataclass(frozen=True)
class RuntimeSettings:
    """What every copy of the runtime gets, as the framework sets it."""

    compile_result: Any
    workload: dict[str, Any]
    model_info: dict[str, Any]

    @property
    def outputs(self) -> list[str]:
        """The model's output names."""
        return split_names(self.model_info.get("outputs"))


class OnnxRunner:
    """ONNX Runtime on a model file, with no vendor code in the way; the same file serves every
    batch size.
    """

    placement: dict[str, Any] | None = None

    def __init__(self, find: Callable[[int], Path], model_info: Mapping[str, Any]) -> None:
        """`find(batch_size)` is the file that holds the model."""
        self._find, self._model_info = find, model_info
        self._session: Any = None
        self._batch_size = 0
        self.any_batch_size = False

    def load(self, batch_size: int) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise UserError(
                "runner 'onnxruntime': the backend's environment has no onnxruntime; "
                "add it to requirements.txt"
            ) from None
        path = self._find(batch_size)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        threads = (self.placement or {}).get("intra_op_threads")
        if threads:
            options.intra_op_num_threads = int(threads)
        self._session = None  # free the old session's memory before the new one takes its own
        session = onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
        bound, _ = bind_inputs(self._model_info, file_tensors(session.get_inputs()), str(path))
        fault = batch_fault(bound, batch_size)
        if fault is not None:
            raise UserError(f"runner 'onnxruntime': {path}: {fault}")
        outputs, _ = bind_outputs(self._model_info, [node.name for node in session.get_outputs()])
        self._inputs = [(fed.declared, fed.file, fed.dtype) for fed in bound]
        self._names = [name for name, _ in outputs]
        self._reported = [reported for _, reported in outputs]
        self.any_batch_size = is_dynamic(bound)
        self._session, self._batch_size = session, batch_size

    def get_loaded_batch_size(self) -> int:
        return self._batch_size

    def predict(self, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Outputs by the model info's names; feeds are cast to the file's types if they differ."""
        given = {}
        for declared, name, dtype in self._inputs:
            array = feeds[declared]
            given[name] = (
                array if getattr(array, "dtype", None) == dtype else np.asarray(array).astype(dtype)
            )
        return dict(zip(self._reported, self._session.run(self._names, given), strict=True))


class FactoryRunner:
    """A vendor's own runner: `reference` ("package.module:factory") is called with the config, and
    returns predict.

    The config is the QS config, with this copy's `batch_size`, `instance`, `instances`, `cpus` and
    `intra_op_threads`, and `compile_result`, `workload` and `model_info` as a runtime backend gets
    them. The factory is called again for another batch size. predict takes feeds, and may be a
    coroutine function if the pool is "async".
    """

    placement: dict[str, Any] | None = None

    def __init__(
        self, reference: str, config: Mapping[str, Any], instance: int, importer: str = ""
    ) -> None:
        """`importer` is the backend's package, whose modules go by bare names in it."""
        self._reference, self._config, self._instance = reference, dict(config), instance
        self._importer = importer
        self._batch_size = 0
        self.predict: Any = None

    def load(self, batch_size: int) -> None:
        factory = _named(self._reference, self._importer)
        place = {
            key: (self.placement or {}).get(key)
            for key in ("instances", "cpus", "intra_op_threads")
        }
        stated = {key: value for key, value in place.items() if value is not None}
        own = {"batch_size": batch_size, "instance": self._instance, **stated}
        predict = factory({**self._config, **own})
        if not callable(predict):
            kind = type(predict).__name__
            raise UserError(
                f"runner {self._reference!r} returned {kind}; allowed: predict, a callable"
            )
        self.predict, self._batch_size = predict, batch_size

    def get_loaded_batch_size(self) -> int:
        return self._batch_size


@dataclass(frozen=True)
class Runtimes:
    """Makes what computes, with everything set that the framework sets, not loaded yet."""

    runtime_class: type
    runner: Runner
    settings: RuntimeSettings
    # where relative paths of artifacts are looked for, in their order
    places: tuple[Path, ...]

    def make(self, instance: int) -> Any:
        settings = self.settings
        made = self._made(instance, settings)
        made.configs = settings.compile_result
        made.workload, made.model_info = settings.workload, settings.model_info
        return made

    def _made(self, instance: int, settings: RuntimeSettings) -> Any:
        if self.runner.is_backend:
            return self.runtime_class()
        if self.runner.name == ONNXRUNTIME:
            return OnnxRunner(self._artifact, settings.model_info)
        known = {
            "compile_result": settings.compile_result,
            "workload": settings.workload,
            "model_info": settings.model_info,
        }
        config = {**self.runner.config, **known}
        # not the module itself: what it names may be in it
        importer = self.runtime_class.__module__.rpartition(".")[0]
        return FactoryRunner(self.runner.name, config, instance, importer)

    def _artifact(self, batch_size: int) -> Path:
        stated = self.runner.config.get("artifact")
        return artifact_file(stated, self.settings.compile_result, self.places, batch_size)


def _named(reference: str, importer: str) -> Any:
    """What "package.module:factory" names in the backend's package `importer`: modules beside it go
    by their bare names.
    """
    module, _, name = reference.partition(":")
    own = sys.modules.get(importer) if importer.rpartition(".")[2] == module else None
    try:
        found = getattr(own or import_for(importer, module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        hint = "a module beside the backend's files goes by its bare name"
        raise UserError(f"runner {reference!r}: there is no module {error.name}; {hint}") from None
    if not callable(found):
        raise UserError(f"runner {reference!r}: the module {module} has no function {name}")
    return found


def artifact_file(
    stated: str | None, compile_result: Mapping[str, Any], places: Iterable[Path], batch_size: int
) -> Path:
    """The file for a batch size: the stated artifact, else what the compile result names for it,
    else UserError.

    Relative paths are looked for in `places`, in their order.
    """
    named = [stated] if stated else _compiled(compile_result, batch_size)
    places = list(places)
    for name in named:
        for path in (Path(name), *(place / name for place in places)):
            if path.is_file():
                return path.absolute()  # weights beside a link are not beside its target
    shown = ", ".join(map(str, named)) or "the compile result names none"
    raise UserError(
        f"runner 'onnxruntime': no such artifact: {shown}; "
        "name the model file in the QS config's 'artifact'"
    )


def _compiled(compile_result: Mapping[str, Any], batch_size: int) -> list[str]:
    """Paths in the compile result, those for that batch size first."""
    models = [
        model
        for segment in compile_result.get("segments") or ()
        for model in segment.get("compiled_model") or ()
        if isinstance(model.get("compiled_obj"), str)
    ]
    models.sort(key=lambda model: model.get("compiled_bs") != batch_size)
    return list(
        dict.fromkeys(
            path
            for model in models
            for path in (model["compiled_obj"], *split_names(model["compiled_obj"]))
        )
    )
