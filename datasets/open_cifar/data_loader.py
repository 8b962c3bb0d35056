"""CIFAR-100's test pictures: `cifar-100-python/test` (the python version) or
`cifar-100-binary/test.bin`, fine labels.

For models that compare pictures with texts (videobert, CLIP) the texts of the 100 classes come from
`text.npy`: the tokens [100, 77] of the model's own tokenizer, for the classes in the order of their
labels; every item has all of them. Pictures are enlarged to the model's size (bicubic) and
scaled by CLIP's means and deviations. Needs Pillow in the backend's environment.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.pictures import pillow, resized_and_cropped
from qs.contract.tools import Fault, Faults, UserError

from . import safe_pickle

SIDE, CLASSES = 32, 100
PIXELS = 3 * SIDE * SIDE
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class DataLoader(ItemDataset):
    """config is the model info: its input with four dimensions takes the pictures, one with two
    the texts.
    """

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        by_rank = {len(self.shape(name)): name for name in self.inputs()}
        self.image_input, self.text_input = by_rank[4], by_rank.get(2)
        pillow(self.name())
        try:
            (path,) = self.find("cifar-100-python/test")
            self.images, labels = from_python(path)
        except FileNotFoundError as missing:
            try:
                (path,) = self.find("cifar-100-binary/test.bin")
            except FileNotFoundError as other:
                raise FileNotFoundError(
                    f"{missing.filename} (or {other.filename}) is missing; put one of them there"
                ) from None
            self.images, labels = from_binary(path)
        self.text = None
        if self.text_input is not None:
            (path,) = self.find("text.npy")
            self.text = read_text(path, self.shape(self.text_input))
        self.strata = labels
        self.items = len(labels)
        self.rebatch(1, skip=False)

    def feeds(self, items):
        from PIL import Image

        size = self.shape(self.image_input)[-1]
        pixels = np.stack(
            [
                resized_and_cropped(
                    Image.fromarray(self.images[item].transpose(1, 2, 0)), size, size, bicubic=True
                )
                for item in items
            ]
        )
        values = ((pixels / 255 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)
        given = {self.image_input: np.ascontiguousarray(values, dtype=np.float32)}
        if self.text is not None:
            given[self.text_input] = np.tile(self.text, (len(items), 1))
        return given

    def label(self, items):
        return self.strata[items]


def from_python(path: Path):
    """(pictures [n, 3, 32, 32] uint8, fine labels [n])."""
    content = safe_pickle.load(path)
    if not isinstance(content, dict):
        raise Faults(
            [Fault(str(path), "", type(content).__name__, "a dict with data and fine_labels")]
        )
    faults = []
    data, labels = content.get(b"data"), content.get(b"fine_labels")
    if not (
        isinstance(data, np.ndarray)
        and data.dtype == np.uint8
        and data.ndim == 2
        and data.shape[1] == PIXELS
    ):
        shown = (
            f"{data.dtype} {list(data.shape)}"
            if isinstance(data, np.ndarray)
            else type(data).__name__
        )
        faults.append(Fault(str(path), "data", shown, f"uint8 [n, {PIXELS}]"))
    if not (
        isinstance(labels, list)
        and all(isinstance(each, int) and 0 <= each < CLASSES for each in labels)
    ):
        faults.append(
            Fault(
                str(path), "fine_labels", labels, f"a list of whole numbers from 0 to {CLASSES - 1}"
            )
        )
    elif not faults and len(labels) != len(data):
        faults.append(
            Fault(str(path), "fine_labels", f"{len(labels)} labels", f"{len(data)}, one a picture")
        )
    if faults:
        raise Faults(faults)
    return data.reshape(-1, 3, SIDE, SIDE), np.array(labels)


def from_binary(path: Path):
    """The same, from records of a coarse label, a fine label and the pixels, one byte each."""
    content = np.fromfile(path, dtype=np.uint8)
    record = 2 + PIXELS
    if not content.size or content.size % record:
        raise Faults(
            [
                Fault(
                    str(path),
                    "size",
                    content.size,
                    f"a multiple of {record} bytes, the records of CIFAR-100",
                )
            ]
        )
    records = content.reshape(-1, record)
    labels = records[:, 1].astype(np.int64)
    wrong = np.flatnonzero(labels >= CLASSES)
    if wrong.size:
        raise Faults(
            [
                Fault(
                    str(path),
                    f"record {wrong[0]}, fine label",
                    int(labels[wrong[0]]),
                    f"0 to {CLASSES - 1}",
                )
            ]
        )
    return records[:, 2:].reshape(-1, 3, SIDE, SIDE), labels


def read_text(path: Path, shape: list[int]) -> np.ndarray:
    try:
        text = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as an array of numbers: {error}") from None
    if list(text.shape) != shape or text.dtype.kind not in "iu":
        raise Faults(
            [
                Fault(
                    str(path), "shape", f"{list(text.shape)} {text.dtype}", f"whole numbers {shape}"
                )
            ]
        )
    return text.astype(np.int64)
