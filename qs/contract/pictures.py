"""Pictures as arrays for data sets, by Pillow, which a backend's environment must then hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError


def pillow(data_set: str) -> Any:
    """Pillow's Image module; UserError says who needs it where it is missing."""
    try:
        from PIL import Image
    except ImportError:
        raise UserError(
            f"the data set {data_set} needs Pillow in the backend's environment; add pillow to "
            "its requirements.txt"
        ) from None
    return Image


def opened(path: Path, data_set: str) -> Any:
    """A picture in RGB; UserError names the file that is none."""
    image = pillow(data_set)
    try:
        with image.open(path) as file:
            return file.convert("RGB")
    except OSError as error:
        raise UserError(f"{path}: cannot be read as a picture: {error}") from None


def resized_and_cropped(picture: Any, shorter: int, size: int, bicubic: bool = False) -> np.ndarray:
    """[size, size, 3] uint8: the shorter side becomes `shorter`, then the middle is taken."""
    from PIL import Image

    width, height = picture.size
    scale = shorter / min(width, height)
    method = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
    # Cut off, not rounded: as torchvision's Resize does it.
    wide, high = (
        (shorter, int(shorter * height / width))
        if width <= height
        else (int(shorter * width / height), shorter)
    )
    picture = picture.resize((wide, high), method) if scale != 1 else picture
    left, top = round((picture.size[0] - size) / 2), round((picture.size[1] - size) / 2)
    return np.asarray(picture.crop((left, top, left + size, top + size)))
