"""The module that safetensors are weights of: the user's own code, named by the model info.

    "module": "package.module:Class"  or  "file.py:Class"
    "module_kwargs": {"width": 16}

A file is looked for beside the model's file, in the folder above, and in the workspace's model_zoo;
what is not found there is imported as an installed package.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from qs.contract.tools import UserError

from .words import sentence

MOST_NAMES = 5


def made(info: Mapping[str, Any], weights: Path) -> Any:
    """A torch.nn.Module of the class that the model info names. UserError with the line of the
    user's code if that raises.
    """
    import torch

    stated = info.get("module")
    if not isinstance(stated, str) or not all(stated.rpartition(":")[::2]):
        raise UserError(
            f"module: {stated!r} of the model info; {weights.name} holds weights without a graph, "
            'so it must name their class: "module": "package.module:Class" or "file.py:Class"'
        )
    place, _, name = stated.rpartition(":")
    kwargs = info.get("module_kwargs") or {}
    if not isinstance(kwargs, Mapping):
        raise UserError(f"module_kwargs: {kwargs!r} of the model info; allowed: an object")
    code = _imported(place, weights)
    kind = getattr(code, name, None)
    if not isinstance(kind, type) or not issubclass(kind, torch.nn.Module):
        found = ", ".join(
            key
            for key, value in vars(code).items()
            if isinstance(value, type)
            and issubclass(value, torch.nn.Module)
            and value.__module__ == code.__name__
        )
        raise UserError(
            f"module: {stated!r} of the model info: {code.__file__} has no torch.nn.Module called "
            f"{name}; it has {found or 'none'}"
        )
    try:
        return kind(**kwargs)
    except Exception as error:
        raise UserError(f"module: {stated!r} cannot be made: {_place(error)}") from error


def fill(module: Any, weights: Mapping[str, Any], path: Path) -> None:
    """Put the weights into the module. UserError if one is missing, or nobody's; two names of one
    tensor need one of them in the file.
    """
    try:
        result = module.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # shapes
        said = " ".join(str(error).split())
        raise UserError(f"{path} does not fit the module: {said[:600]}") from error
    state = module.state_dict()
    loaded = {state[name].data_ptr() for name in weights if name in state}
    missing = [name for name in result.missing_keys if state[name].data_ptr() not in loaded]
    faults = [
        f"{what} {_shown(names)}"
        for what, names in (
            ("has no weights for", missing),
            ("has weights that the module lacks:", result.unexpected_keys),
        )
        if names
    ]
    if faults:
        raise UserError(f"{path} {'; it '.join(faults)}")


def _imported(place: str, weights: Path) -> ModuleType:
    file = place if place.endswith(".py") else f"{place.replace('.', '/')}.py"
    zoo = Path(__file__).parents[2] / "model_zoo"
    folders = list(dict.fromkeys([weights.parent, weights.parent.parent, zoo, Path("model_zoo")]))
    found = next((each / file for each in folders if (each / file).is_file()), None)
    try:
        if found is None:
            if place.endswith(".py"):
                raise ModuleNotFoundError(place)
            return importlib.import_module(place)
        name = f"qs_user_module_{found.stem}"
        spec = importlib.util.spec_from_file_location(name, found)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        if str(found.parent) not in sys.path:
            sys.path.append(str(found.parent))  # what lies beside it can be imported by its name
        spec.loader.exec_module(module)
        return module
    except ModuleNotFoundError as error:
        if found is not None:
            raise UserError(f"module: {found} cannot be loaded: {_place(error)}") from error
        looked = ", ".join(str(folder) for folder in folders)
        raise UserError(
            f"module: {place!r} of the model info is not found: there is no {file} in {looked}, "
            f"and no such package is installed ({sentence(error)})"
        ) from error
    except (Exception, SystemExit) as error:
        raise UserError(f"module: {found or place} cannot be loaded: {_place(error)}") from error


def _place(error: BaseException) -> str:
    """The error in a line, and the line of code that raised it."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {sentence(error)} ({last.filename}, line {last.lineno})"


def _shown(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
