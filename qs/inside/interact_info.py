"""`interact_info` as published code finds it: the answers, and the model's path by
`interact_info["model_path"]`.

The path is no answer: it is not among the keys, so it is not recorded, not counted, and not passed
on where the answers are (`Options(**interact_info)`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PATH = "model_path"


class InteractInfo(dict[str, Any]):
    """The answers. `model_path` is there for who asks for it; an answer of that name wins."""

    def __init__(self, answers: Mapping[str, Any], model_path: str) -> None:
        super().__init__(answers)
        self._model_path = model_path

    def __missing__(self, key: str) -> Any:
        if key == PATH:
            return self._model_path
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return key == PATH or super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __reduce__(self) -> tuple[Any, ...]:
        return InteractInfo, (dict(self), self._model_path)


def with_path(configs: Mapping[str, Any]) -> dict[str, Any]:
    """These configs, with the path that their model info states in their interact_info."""
    answers = configs.get("interact_info") or {}
    path = (configs.get("model_info") or {}).get(PATH)
    if path is None or isinstance(answers, InteractInfo) or not isinstance(answers, Mapping):
        return dict(configs)
    return {**configs, "interact_info": InteractInfo(answers, path)}
