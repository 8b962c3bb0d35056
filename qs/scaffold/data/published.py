"""What is published beside a model: how its pictures are prepared (`preprocessor_config.json`), and
the names of its classes (`id2label` of `config.json`), as the libraries transformers and optimum
write them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qs.base import jsonc
from qs.base.errors import UserError

PREPARATION, CONFIG = "preprocessor_config.json", "config.json"
_NOT_CROPPED = 384
_INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers


@dataclass(frozen=True)
class Preparation:
    """How pictures are prepared; None: not stated. `size` is (height, width) of the input."""

    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: str | None = None
    interpolation: str | None = None
    channels: str | None = None
    size: tuple[int, int] | None = None


def preparation(path: Path) -> Preparation:
    """What such a file states. UserError for values that are none."""
    raw: Any = jsonc.read(path)
    try:
        return _preparation(raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: is not a picture's preparation as transformers writes it "
            f"({type(error).__name__}: {error}); state --scale, --mean, --std and --resize instead"
        ) from None


def _preparation(raw: Mapping[str, Any]) -> Preparation:
    rescaled = raw.get("do_rescale", "rescale_factor" in raw or "image_mean" in raw)
    scale = float(raw.get("rescale_factor", 1 / 255)) if rescaled else 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    if raw.get("do_normalize", "image_mean" in raw):
        mean, std = _numbers(raw["image_mean"]), _numbers(raw["image_std"])
    resize, size = _resize(raw)
    return Preparation(
        scale=scale,
        mean=mean,
        std=std,
        resize=resize,
        interpolation=_INTERPOLATIONS.get(raw.get("resample", -1)),
        channels="BGR" if raw.get("do_flip_channel_order") else None,
        size=size,
    )


def _resize(raw: Mapping[str, Any]) -> tuple[str | None, tuple[int, int] | None]:
    size = _edges(raw.get("size"))
    share = raw.get("crop_pct")  # ConvNext's: of what is resized, which large sizes are not cropped
    if share and isinstance(size, int):
        return ("stretch" if size >= _NOT_CROPPED else f"crop:{int(size / share)}"), _both(size)
    if raw.get("do_center_crop"):
        crop = _both(_edges(raw.get("crop_size", raw.get("size"))))
        return (f"crop:{size}" if isinstance(size, int) else "crop"), crop
    if raw.get("do_pad"):
        return "pad", None
    return (None if size is None else "stretch"), _both(size)


def _edges(stated: Any) -> int | tuple[int, int] | None:
    """(height, width), or the shorter edge."""
    if isinstance(stated, Mapping):
        if "height" in stated:
            return int(stated["height"]), int(stated["width"])
        shortest = stated.get("shortest_edge")
        return None if shortest is None else int(shortest)
    return None if stated is None else int(stated)


def _both(edges: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (edges, edges) if isinstance(edges, int) else edges


def _numbers(stated: Any) -> tuple[float, ...]:
    found = tuple(float(each) for each in (stated if isinstance(stated, list) else [stated]))
    if not found or not all(map(math.isfinite, found)):
        raise ValueError(f"{stated!r} holds no numbers")
    return found


def class_names(model: Path) -> Sequence[str] | None:
    """The names of the classes in the order of the model's scores, if its config.json has them."""
    path = model.absolute().parent / CONFIG
    if not path.is_file():
        return None
    try:
        raw: Any = jsonc.read(path)
        named = {int(number): str(name) for number, name in raw["id2label"].items()}
    except (UserError, AttributeError, KeyError, TypeError, ValueError):
        return None  # a config.json of something else
    if sorted(named) != list(range(len(named))) or len(set(named.values())) != len(named):
        return None
    return [named[at] for at in range(len(named))]
