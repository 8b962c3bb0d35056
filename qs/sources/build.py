"""The source `build`: a builder in the workspace's model_zoo/ writes an architecture with seeded weights.

Such weights are synthetic: good for speed and numeric agreement, worthless for accuracy. The cached file is
keyed by the builder's own source, its arguments and the seed, so an edited builder builds anew.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import time
from collections.abc import Callable, Mapping
from importlib import util
from pathlib import Path
from typing import Any

from qs.cache import build_once, key_of
from qs.errors import UserError
from qs.sources.request import Request


def obtain(entry: Mapping[str, Any], request: Request) -> tuple[Path, str]:
    """(file, note). entry: `builder` ("builders/bert.py:build_bert_qa", relative to model_zoo/), optional
    `kwargs`.

    The builder is called as build(path, seed, **kwargs). UserError where it is missing or takes other
    arguments.
    """
    spelled = str(entry.get("builder", ""))
    kwargs = dict(entry.get("kwargs") or {})
    file, name = _locate(spelled, request)
    source = file.read_bytes()
    key = key_of({"source": hashlib.sha256(source).hexdigest(), "name": name, "kwargs": kwargs, "seed": request.seed})

    def build(path: Path) -> None:
        function = _load(file, name, key)
        try:
            inspect.signature(function).bind(path, request.seed, **kwargs)
        except TypeError as error:
            raise UserError(f"{request.model}: builder {spelled} does not take these kwargs: {error}") from error
        request.say(f"building {request.model} with seeded weights ({spelled}, seed {request.seed})")
        start = time.perf_counter()
        function(path, request.seed, **kwargs)
        size = path.stat().st_size / 1e6
        request.say(f"built {request.model}: {size:,.0f} MB in {time.perf_counter() - start:.1f} s")

    path = build_once(f"models/{name}-{key}", ".onnx", build)
    return path, f"synthetic weights from {spelled}, seed {request.seed}"


def _locate(spelled: str, request: Request) -> tuple[Path, str]:
    folder = (request.workspace_root / "model_zoo").resolve()
    relative, colon, name = spelled.partition(":")
    if not (colon and relative.endswith(".py") and name.isidentifier()):
        raise UserError(f"{request.model}: builder {spelled!r} is not of the form 'builders/file.py:function'")
    file = (folder / relative).resolve()
    if not file.is_relative_to(folder):
        raise UserError(f"{request.model}: builder {spelled!r} lies outside {folder}")
    if not file.is_file():
        raise UserError(f"{request.model}: there is no builder file {file}")
    return file, name


def _load(file: Path, name: str, key: str) -> Callable[..., None]:
    module_name = f"_qs_builder_{key}"
    spec = util.spec_from_file_location(module_name, file)
    assert spec is not None and spec.loader is not None  # the suffix is .py
    module = util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses look their own module up while it is executed
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[module_name]
    function = getattr(module, name, None)
    if not callable(function):
        raise UserError(f"{file} has no function {name}")
    return function
