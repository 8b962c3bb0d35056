"""Pictures as arrays for data sets, by Pillow, which the backend's environment must then have."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from qs.base.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


def pillow(data_set: str) -> ModuleType:
    """Pillow's Image module; if it is missing, UserError says who needs it."""
    try:
        from PIL import Image
    except ImportError:
        raise UserError(
            f"the data set {data_set} needs Pillow in the backend's environment; add pillow to "
            "its requirements.txt"
        ) from None
    return Image


def opened(path: Path, data_set: str) -> Picture:
    """A picture in RGB; UserError names a file that is not a picture."""
    image = pillow(data_set)
    try:
        with image.open(path) as file:
            return file.convert("RGB")
    except FileNotFoundError:
        raise
    except Exception as error:  # Pillow's readers raise SyntaxError, ValueError, struct.error ...
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: cannot be read as a picture: {why}") from None


def resized_and_cropped(
    picture: Picture, shorter: int, size: int, bicubic: bool = False
) -> np.ndarray:
    """[size, size, 3] uint8: scaled so that the shorter edge is `shorter`, then its centre."""
    from PIL import Image

    width, height = picture.size
    scale = shorter / min(width, height)
    method = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
    # Truncated, not rounded, like torchvision's Resize.
    wide, high = (
        (shorter, int(shorter * height / width))
        if width <= height
        else (int(shorter * width / height), shorter)
    )
    picture = picture.resize((wide, high), method) if scale != 1 else picture
    left, top = round((picture.size[0] - size) / 2), round((picture.size[1] - size) / 2)
    return np.asarray(picture.crop((left, top, left + size, top + size)))
