"""The user's own items of one input, from files: .npy, .npz, .raw or .bin, .json, .txt (strings,
one a line), images; or a folder of them.

Everything becomes one array [items, *shape at batch size 1] of the input's type; casts that lose
information are refused. Images are scaled to the input's height and width, and to [0, 1] for inputs
of floats; other preprocessing is up to the user.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from qs.base.errors import Fault, Faults, UserError
from qs.tensors.generated import InputSpec

FLAG = "--data"
MOST_ITEMS = 100_000
_INTEGRAL = 1e-6


def read_items(spec: InputSpec, path: Path) -> np.ndarray:
    """All items in a file or folder. Raises Faults for content that does not fit this input."""
    files = _files(spec, path)
    items = [_items(spec, file) for file in files]
    whole = np.concatenate(items)
    if not len(whole):
        raise _fault(spec, path, "at least one item")
    if len(whole) > MOST_ITEMS:
        raise _fault(spec, path, f"at most {MOST_ITEMS} items", f"it has {len(whole)}")
    return whole


def _files(spec: InputSpec, path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(
            each for each in path.iterdir() if each.suffix.lower() in READERS and each.is_file()
        )
        if not found:
            raise _fault(spec, path, f"a folder with files that end in {', '.join(READERS)}")
        return found
    if not path.is_file():
        raise _fault(spec, path, "an existing file or folder")
    if path.suffix.lower() not in READERS:
        raise _fault(spec, path, f"a file that ends in {', '.join(READERS)}")
    return [path]


def _items(spec: InputSpec, file: Path) -> np.ndarray:
    try:
        raw = READERS[file.suffix.lower()](spec, file)
    except UserError:
        raise
    except (ValueError, OSError, KeyError, EOFError) as error:
        raise _fault(spec, file, "a readable file", str(error)) from None
    return _shaped(spec, _cast(spec, raw, file), file)


def _shaped(spec: InputSpec, array: np.ndarray, file: Path) -> np.ndarray:
    """[items, *shape]: from several items along the batch dimension, from one item, or from one
    without a leading dimension of 1.
    """
    shape = spec.shape
    if array.shape == shape:
        return array[None]
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        return array
    if (
        shape
        and array.ndim == len(shape)
        and array.shape[1:] == shape[1:]
        and array.shape[0] % shape[0] == 0
    ):
        return array.reshape(-1, *shape)
    if shape and shape[0] == 1 and array.shape == shape[1:]:
        return array.reshape(1, *shape)
    wanted = f"items of shape {list(shape)}, one or several along the first dimension"
    raise _fault(spec, file, wanted, f"it has {list(array.shape)}")


def _cast(spec: InputSpec, array: np.ndarray, file: Path) -> np.ndarray:
    dtype = spec.dtype
    if array.dtype == dtype:
        return array
    if dtype.kind == "U" or array.dtype.kind in "UO":
        if dtype.kind == "U" and array.dtype.kind == "U":
            return array
        raise _fault(spec, file, f"values of type {spec.type}", f"it has {array.dtype}")
    if (
        dtype.kind in "iub"
        and array.dtype.kind == "f"
        and np.any(np.abs(array - np.rint(array)) > _INTEGRAL)
    ):
        raise _fault(
            spec, file, f"whole numbers, for {spec.type}", f"it has {array.dtype} with fractions"
        )
    if dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise _fault(spec, file, f"values from {limits.min} to {limits.max}, for {spec.type}")
    return array.astype(dtype)


def _npy(spec: InputSpec, file: Path) -> np.ndarray:
    return np.load(file, allow_pickle=False)


def _npz(spec: InputSpec, file: Path) -> np.ndarray:
    with np.load(file, allow_pickle=False) as arrays:
        names = list(arrays)
        if spec.name in names:
            return arrays[spec.name]
        if len(names) == 1:
            return arrays[names[0]]
    raise _fault(
        spec,
        file,
        f"an archive with one array, or one named {spec.name}",
        f"it has {', '.join(names)}",
    )


def _raw(spec: InputSpec, file: Path) -> np.ndarray:
    if spec.dtype.kind == "U":
        raise _fault(spec, file, "a .txt or .json file, for strings")
    values = np.fromfile(file, spec.dtype)
    size = int(np.prod(spec.shape, dtype=np.int64))
    bytes_of_one = size * spec.dtype.itemsize
    if not values.size or file.stat().st_size % bytes_of_one:
        hint = f"it has {file.stat().st_size} bytes"
        raise _fault(
            spec,
            file,
            f"a multiple of {bytes_of_one} bytes: {list(spec.shape)} of {spec.type}",
            hint,
        )
    return values.reshape(-1, *spec.shape)


def _json(spec: InputSpec, file: Path) -> np.ndarray:
    content = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(content, Mapping):
        if spec.name not in content:
            raise _fault(
                spec,
                file,
                f"a list, or an object with the key {spec.name}",
                f"it has {', '.join(content)}",
            )
        content = content[spec.name]
    return np.array(content)


def _text(spec: InputSpec, file: Path) -> np.ndarray:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line]
    if spec.dtype.kind != "U" or int(np.prod(spec.shape)) != 1:
        raise _fault(spec, file, f"a file of numbers, for {list(spec.shape)} of {spec.type}")
    return np.array(lines).reshape(-1, *spec.shape)


def _image(spec: InputSpec, file: Path) -> np.ndarray:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise UserError(
            f"{file}: reading images needs Pillow: pip install 'quicksilver-perf[images]'"
        ) from None

    height, width, channels, first = _layout(spec, file)
    try:
        with Image.open(file) as opened:
            picture = opened.convert("L" if channels == 1 else "RGB").resize(
                (width, height), Image.Resampling.BILINEAR
            )
    except UnidentifiedImageError:
        raise _fault(spec, file, "an image") from None
    pixels = np.asarray(picture).reshape(height, width, channels)
    if first:
        pixels = pixels.transpose(2, 0, 1)
    if spec.dtype.kind == "f":
        pixels = pixels.astype(spec.dtype) / spec.dtype.type(255)
    return pixels.reshape(spec.shape)


def _layout(spec: InputSpec, file: Path) -> tuple[int, int, int, bool]:
    """Height, width, channels, and whether the channels come first."""
    shape: Sequence[int] = (
        spec.shape[1:] if len(spec.shape) == 4 and spec.shape[0] == 1 else spec.shape
    )
    if len(shape) == 3 and shape[0] in (1, 3):
        return shape[1], shape[2], shape[0], True
    if len(shape) == 3 and shape[2] in (1, 3):
        return shape[0], shape[1], shape[2], False
    raise _fault(
        spec,
        file,
        f"for an input of [1, 3, H, W] or [1, H, W, 3]; {spec.name} is {list(spec.shape)}",
    )


def _fault(spec: InputSpec, path: Path, allowed: str, hint: str | None = None) -> Faults:
    return Faults([Fault(f"{FLAG} {spec.name}", "", str(path), allowed, hint=hint)])


READERS: dict[str, Callable[[InputSpec, Path], np.ndarray]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".raw": _raw,
    ".bin": _raw,
    ".json": _json,
    ".txt": _text,
    ".png": _image,
    ".jpg": _image,
    ".jpeg": _image,
    ".bmp": _image,
}
