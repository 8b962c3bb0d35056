"""The source `build`: a builder in the workspace's model_zoo/ (or the data set's folder) writes the
file.

Without `files` a model's weights are synthetic, drawn from the seed: good for speed and numeric
agreement, worthless for accuracy. With `files` the builder gets trained weights, or a data set's
raw files: each is fetched, verified and passed by name, tensors (.safetensors, .pth) as a dict of
arrays, anything else as a path. The key of the cached file covers the builder's source, the files
beside it that it imports, its arguments, the files' digests and the seed, so an edited builder
builds again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from qs.base.cache import build_once, cache_dir, key_of
from qs.base.errors import UserError
from qs.base.scratch import scratch
from qs.models import pth, pypi, url
from qs.models.request import ModelRequest, NotHere
from qs.tensors.digest import sha256_of
from qs.tensors.onnx_data import data_files

FETCHED = {"url": url.obtain, "pypi": pypi.obtain}


def obtain(entry: Mapping[str, Any], request: ModelRequest) -> tuple[Path, str]:
    """(file, note). entry: `builder` ("builders/bert.py:build_bert_qa", relative to model_zoo/),
    optional `kwargs`.

    The builder is called as build(path, seed, **kwargs). UserError if it is missing or takes other
    arguments.
    """
    spelled = str(entry.get("builder", ""))
    kwargs = dict(entry.get("kwargs") or {})
    files, notes = fetched(entry, request)
    file, name = _locate(spelled, request)
    parts: dict[str, Any] = {"source": _source_digest(file), "name": name, "kwargs": kwargs}
    parts |= (
        {"files": {argument: sha256_of(path) for argument, path in files.items()}}
        if files
        else {"seed": request.seed}
    )
    key = key_of(parts)

    def build(path: Path) -> None:
        function = _load(file, name, key)
        try:
            inspect.signature(function).bind(path, request.seed, **kwargs, **files)
        except TypeError as error:
            raise UserError(
                f"{request.model}: builder {spelled} does not take these kwargs: {error}"
            ) from error
        how = (
            f"from {', '.join(file.name[:12] for file in files.values())}"
            if files
            else f"with seeded weights, seed {request.seed}"
        )
        request.say(f"building {request.model} {how} ({spelled})")
        start = time.perf_counter()
        function(
            path, request.seed, **kwargs, **{name: opened(file) for name, file in files.items()}
        )
        size = sum(each.stat().st_size for each in (path, *data_files(path))) / 1e6
        request.say(f"built {request.model}: {size:,.0f} MB in {time.perf_counter() - start:.1f} s")

    path = build_once(f"models/{name}-{key}", request.suffix, build)
    if files:
        return path, f"built by {spelled} from {', '.join(notes)}"
    return path, f"synthetic weights from {spelled}, seed {request.seed}"


def fetched(entry: Mapping[str, Any], request: ModelRequest) -> tuple[dict[str, Path], list[str]]:
    """The builder's files by argument, and where each came from. NotHere if one is unavailable."""
    found, notes = {}, []
    with scratch("qs-wheels-", cache_dir()) as folder:
        together = replace(request, wheels=folder)
        for argument, sources in (entry.get("files") or {}).items():
            found[argument], note = _first(sources, together)
            notes.append(note)
    return found, notes


def _first(sources: Sequence[Mapping[str, Any]], request: ModelRequest) -> tuple[Path, str]:
    reasons = []
    for source in sources:
        try:
            return FETCHED[str(source.get("kind"))](source, request)
        except NotHere as reason:
            reasons.append(str(reason))
    raise NotHere("; ".join(reasons))


def opened(file: Path) -> dict[str, np.ndarray] | Path:
    """What a builder gets: arrays by name for a file of tensors, else the path."""
    if file.suffix == ".safetensors":
        return safetensors(file)
    return pth.read(file) if file.suffix in (".pth", ".pt") else file


def safetensors(file: Path) -> dict[str, np.ndarray]:
    """Name -> array. The format contains no code; UserError if the file is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is not a safetensors file: {error}") from error


def _locate(spelled: str, request: ModelRequest) -> tuple[Path, str]:
    folder = (request.workspace_root / request.folder).resolve()
    relative, colon, name = spelled.partition(":")
    if not (colon and relative.endswith(".py") and name.isidentifier()):
        raise UserError(
            f"{request.model}: builder {spelled!r} is not of the form 'builders/file.py:function'"
        )
    file = (folder / relative).resolve()
    if not file.is_relative_to(folder):
        raise UserError(f"{request.model}: builder {spelled!r} lies outside {folder}")
    if not file.is_file():
        raise UserError(f"{request.model}: there is no builder file {file}")
    return file, name


def _source_digest(file: Path) -> str:
    """Of the file and of those beside it that it imports (`from .graph import Graph`), directly or
    not.
    """
    found: dict[Path, bytes] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = path.read_bytes()
        try:
            tree = ast.parse(found[path])
        except SyntaxError:
            continue  # loading it tells the user where
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                names = [node.module] if node.module else [each.name for each in node.names]
                beside = [path.parent / f"{name.split('.')[0]}.py" for name in names]
                waiting += [each for each in beside if each.is_file()]
    parts = (hashlib.sha256(found[path]).hexdigest() for path in sorted(found))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _load(file: Path, name: str, key: str) -> Callable[..., None]:
    """The builder. While it is loaded, its folder is a package, so that `from .graph import ...`
    works.
    """
    package = ModuleType(f"_qs_builders_{key}")
    package.__path__ = [str(file.parent)]
    sys.modules[package.__name__] = package
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(f"{package.__name__}.{file.stem}")
    finally:
        for loaded in [each for each in sys.modules if each.split(".")[0] == package.__name__]:
            del sys.modules[loaded]
    function = getattr(module, name, None)
    if not callable(function):
        raise UserError(f"{file} has no function {name}")
    return function
