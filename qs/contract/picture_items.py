"""A data set of picture files: in a folder for each class, or named with labels by a CSV file.

Pictures are read when they are asked for, by Pillow, which the backend's environment must have.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.contract.array_items import Numbers, item_shape, normalised
from qs.contract.labelled_items import LabelledItems, listed
from qs.contract.pictures import opened
from qs.contract.reading import csv_rows
from qs.tensors.casting import Bent, cast
from qs.tensors.generated import InputSpec

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
LAYOUTS = ("NCHW", "NHWC")
CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
RULES = ("stretch", "crop", "pad")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


class PictureItems(LabelledItems):
    """Pictures for the model's first input. A subclass states the attributes that differ."""

    DATA = "pictures"
    """The folder of the pictures."""
    LABELS: str | None = None
    """A CSV file that names pictures in DATA, and their labels; None: each folder in DATA holds the
    pictures of a class, or there are no labels."""
    COLUMNS: tuple[str, str | None] = ("file", "label")
    """Its columns of names and labels."""
    DELIMITER = ","
    """What is between its cells."""
    SIZE: tuple[int, int] | None = None
    """Height and width; None: those of the input."""
    RESIZE = "stretch"
    """To that size: "stretch"; "crop" (scaled so that it is covered, then the centre), "crop:256"
    (the shorter edge becomes 256 first); or "pad" (scaled to fit in, black around it)."""
    INTERPOLATION = "bilinear"
    """nearest, bilinear, bicubic or lanczos."""
    LAYOUT = "NCHW"
    """Or "NHWC", channels last."""
    CHANNELS = "RGB"
    """Or "BGR", or "L" for grey."""
    SCALE = 1 / 255
    """What a value of 0..255 is multiplied by first."""
    MEAN: Numbers = 0.0
    """What is then subtracted: a number, or one for each channel, in the order of CHANNELS."""
    STD: Numbers = 1.0
    """What that is then divided by."""

    def preprocess(self) -> None:
        self._check()
        self.spec = self.specs()[0]
        self.size = self._size(self.spec)
        folder = self.place(self.DATA, "DATA")
        if self.LABELS is None:
            self.files, labels = in_class_folders(folder)
            self.take(len(self.files), labels, str(folder))
            return
        listing = self.place(self.LABELS, "LABELS")
        self.files, given = in_listing(listing, folder, *self.COLUMNS, self.DELIMITER)
        self.take(len(self.files), given, str(listing))

    def _check(self) -> None:
        """UserError for an attribute with a value that is not allowed."""
        rule, _, shorter = self.RESIZE.partition(":")
        for key, value, allowed in (
            ("LAYOUT", self.LAYOUT, LAYOUTS),
            ("CHANNELS", self.CHANNELS, tuple(CHANNELS)),
            ("INTERPOLATION", self.INTERPOLATION, INTERPOLATIONS),
            ("RESIZE", rule, RULES),
        ):
            if value not in allowed:
                near = nearest(value, allowed)
                meant = f"; did you mean {near!r}?" if near else ""
                raise UserError(f"{key} is {value!r}; allowed: {', '.join(allowed)}{meant}")
        if shorter and not (rule == "crop" and shorter.isdigit() and int(shorter)):
            raise UserError(f"RESIZE is {self.RESIZE!r}; allowed: {', '.join(RULES)}, crop:256")
        others = [spec.name for spec in self.specs()[1:]]
        if others:
            raise UserError(
                f"the model has further inputs: {', '.join(others)}; pictures feed the first "
                "alone, so override `feeds` in data_loader.py"
            )

    def _size(self, spec: InputSpec) -> tuple[int, int]:
        """Height and width. UserError if the input has no room for such pictures."""
        shape, channels = item_shape(spec), CHANNELS[self.CHANNELS]
        if len(shape) == 3:
            at = 0 if self.LAYOUT == "NCHW" else 2
            found = shape[1:] if at == 0 else shape[:2]
            if shape[at] == channels and self.SIZE in (None, tuple(found)):
                return found[0], found[1]
        elif len(shape) == 2 and channels == 1 and self.SIZE in (None, shape):
            return shape[0], shape[1]
        elif self.SIZE is not None and np.prod(shape) == np.prod(self.SIZE) * channels:
            return self.SIZE
        sized = f" of {self.SIZE[0]}x{self.SIZE[1]}" if self.SIZE else ""
        raise UserError(
            f"the input {spec.name} takes items of {list(shape)}, and no {self.CHANNELS} pictures"
            f"{sized} in {self.LAYOUT}: state LAYOUT, CHANNELS or SIZE otherwise"
        )

    def feeds(self, items: Any) -> dict[str, np.ndarray]:
        pixels = np.stack([self.pixels(self.files[item]) for item in items])
        values = self.normalised(pixels)
        if self.LAYOUT == "NCHW":
            values = values.transpose(0, 3, 1, 2)
        try:
            values = cast(values, self.spec.dtype, self.spec.type)
        except Bent as error:
            raise UserError(
                f"the input {self.spec.name} takes {error}; it is fed pixels times SCALE, less "
                "MEAN, divided by STD"
            ) from None
        return {self.spec.name: self.spec.joined(values.reshape(len(values), *self.spec.shape))}

    def normalised(self, pixels: np.ndarray) -> np.ndarray:
        """(pixels * SCALE - MEAN) / STD of [items, height, width, channels]."""
        flat = pixels.reshape(-1, pixels.shape[-1])  # a row a pixel: the channels are last
        return normalised(flat, self.SCALE, self.MEAN, self.STD).reshape(pixels.shape)

    def pixels(self, file: Path) -> np.ndarray:
        """uint8 [height, width, channels] in the order of CHANNELS. UserError names a file that is
        no picture.
        """
        picture = opened(file, self.name())
        if self.CHANNELS == "L":
            picture = picture.convert("L")
        made = resized(picture, self.size, self.RESIZE, self.INTERPOLATION)
        array = np.asarray(made).reshape(*self.size, CHANNELS[self.CHANNELS])
        return array[:, :, ::-1] if self.CHANNELS == "BGR" else array


def resized(picture: Picture, size: tuple[int, int], resize: str, interpolation: str) -> Picture:
    """A picture of that height and width; see PictureItems.RESIZE."""
    from PIL import Image

    method = Image.Resampling[interpolation.upper()]
    rule, _, stated = resize.partition(":")
    (height, width), (wide, high) = size, picture.size
    if rule == "stretch":
        return (
            picture if (wide, high) == (width, height) else picture.resize((width, height), method)
        )
    if rule == "pad":
        scale = min(width / wide, height / high)
        inner = max(1, round(wide * scale)), max(1, round(high * scale))
        whole = Image.new(picture.mode, (width, height))
        whole.paste(
            picture.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2)
        )
        return whole
    if stated:  # truncated, not rounded, like torchvision's Resize
        shorter = int(stated)
        scaled = (
            (shorter, int(shorter * high / wide))
            if wide <= high
            else (int(shorter * wide / high), shorter)
        )
    else:
        scale = max(width / wide, height / high)
        scaled = max(width, round(wide * scale)), max(height, round(high * scale))
    if scaled != (wide, high):
        picture = picture.resize(scaled, method)
    left, top = round((scaled[0] - width) / 2), round((scaled[1] - height) / 2)
    return picture.crop((left, top, left + width, top + height))


def in_class_folders(folder: Path) -> tuple[list[Path], list[str] | None]:
    """(pictures, the name of the folder that each lies in), sorted by folder and name; without
    folders the pictures in it, and no names. UserError if there are none, and for both at once.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder; allowed: a folder with one for each class")
    inside = [each for each in sorted(folder.iterdir()) if not each.name.startswith(".")]
    classes = [each for each in inside if each.is_dir()]
    files, labels = [], []
    empty = []
    for each in classes:
        found = [file for file in sorted(each.rglob("*")) if is_picture(file)]
        files += found
        labels += [each.name] * len(found)
        empty += [] if found else [each.name]
    loose = [each for each in inside if is_picture(each)]
    if loose and files:
        raise UserError(
            f"{folder}: {listed([each.name for each in loose])} lie beside the folders of the "
            "classes, and belong to none; move them, or list all pictures in a CSV"
        )
    if loose:
        return loose, None
    if not files:
        raise UserError(f"{folder}: holds no pictures ({', '.join(SUFFIXES)})")
    if empty:
        raise UserError(
            f"{folder}: the folders {listed(empty)} hold no pictures, so that the numbers of the "
            "classes after them are in doubt; remove them, or list all pictures in a CSV"
        )
    return files, labels


def in_listing(
    listing: Path, folder: Path, file: str, label: str | None, delimiter: str
) -> tuple[list[Path], list[str] | None]:
    """(pictures, their labels) in the order of a CSV with these columns; names are relative to
    `folder`. UserError for missing columns, and pictures that are missing or listed twice.
    """
    rows = csv_rows(listing, delimiter)
    _, header = next(rows, (0, []))
    for name in (file, label):
        if name is not None and name not in header:
            near = nearest(name, header)
            meant = f"; did you mean {near!r}?" if near else ""
            raise UserError(f"{listing}: has no column {name!r}; it has {listed(header)}{meant}")
    at = header.index(file)
    at_label = None if label is None else header.index(label)
    files: list[Path] = []
    labels: list[str] = []
    known: dict[str, int] = {}
    missing = []
    for number, cells in rows:
        name = cells[at]
        if name in known:
            raise UserError(
                f"{listing}: line {number} names {name} again, after line {known[name]}"
            )
        known[name] = number
        files.append(folder / name)
        if not files[-1].is_file():
            missing.append(f"{name} (line {number})")
        if at_label is not None:
            labels.append(cells[at_label])
    if missing:
        raise UserError(f"{folder}: lacks {len(missing)} pictures of {listing}: {listed(missing)}")
    return files, labels if at_label is not None else None


def is_picture(file: Path) -> bool:
    hidden = file.name.startswith(".")
    return file.suffix.lower() in SUFFIXES and not hidden and file.is_file()


def known_sizes(files: Sequence[Path], most: int = 16) -> set[tuple[int, int]]:
    """(width, height) of the first pictures. UserError names one that is none."""
    return {opened(file, "pictures").size for file in files[:most]}
