"""Three photographs, each cut in four ways to 224 x 224, in one npz that a backend's environment
reads with numpy alone.

Runs in the environment of qs, whose extra `zoo` has Pillow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.contract.tools import UserError

SIZE = 224
ZOOMS = (0.875, 0.65)  # of the shorter edge; each also mirrored


def prepare(path: Path, seed: int, **photos: Path) -> None:
    """Write `pictures` (uint8 [4 x photos, 224, 224, 3], RGB) and `names` to `path`, photos in the
    order of their names.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise UserError(
            "the data set photos needs Pillow: pip install 'quicksilver-perf[zoo]', or pip "
            "install pillow"
        ) from error
    pictures, names = [], []
    for name in sorted(photos):
        with Image.open(photos[name]) as file:
            photo = file.convert("RGB")
        for zoom in ZOOMS:
            side = min(photo.size) * zoom
            left, top = (photo.width - side) / 2, (photo.height - side) / 2
            cut = photo.resize(
                (SIZE, SIZE), Image.Resampling.BICUBIC, (left, top, left + side, top + side)
            )
            pictures += [np.asarray(cut), np.asarray(ImageOps.mirror(cut))]
            names += [f"{name} {zoom:g}", f"{name} {zoom:g} mirrored"]
    with path.open("wb") as file:
        np.savez_compressed(file, pictures=np.stack(pictures), names=np.array(names))
