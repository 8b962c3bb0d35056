"""Criteo's display advertising challenge: 13 numbers and 26 categories per item, clicked or not.

From `numeric.npy` [n, 13], `categorical.npy` [n, 52] and `label.npy` [n] or [n, 1], as published;
or from `eval.csv`, lines of label, I1..I13, C1..C26. A batch of b is [26 * b, 2] of (column, bucket
of 1000) and [b, 13]. As published, numbers are scaled to 0..1 by the file's own minima and maxima,
and the columns are in the order of their names as text (I1, I10 ... I9; C10 ... C19, C1, C20
...).
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.tools import Fault, Faults, UserError, read_npy, text_lines

from .fingerprint import fingerprint64

NUMBERS, CATEGORIES, BUCKETS = 13, 26, 1000
LARGEST = float(np.finfo(np.float32).max) / 4  # differences of two stay finite
# Positions of the columns in the order of their published names.
NUMBER_ORDER = sorted(range(NUMBERS), key=lambda at: f"I{at + 1}")
CATEGORY_ORDER = sorted(range(CATEGORIES), key=lambda at: f"C{at + 1}_embedding")


class DataLoader(ItemDataset):
    """config is the model info: its input with 26 rows per item takes the categories, the other
    the numbers.
    """

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        names = self.inputs()
        self.categorical_input = next(
            (name for name in names if self.shape(name)[0] == CATEGORIES), names[0]
        )
        self.numeric_input = next(name for name in names if name != self.categorical_input)
        try:
            arrays = self.find("numeric.npy", "categorical.npy", "label.npy")
        except FileNotFoundError as missing:
            try:
                (file,) = self.find("eval.csv")
            except FileNotFoundError:
                raise FileNotFoundError(
                    f"{missing.filename or missing}; eval.csv in the same folder would do as well"
                ) from None
            self.numbers, self.categories, labels = from_csv(file)
        else:
            self.numbers, self.categories, labels = from_arrays(*arrays)
        self.strata = labels
        self.items = len(labels)
        self.rebatch(1, skip=False)

    def feeds(self, items):
        return {
            self.categorical_input: self.categories[items].reshape(-1, 2),
            self.numeric_input: self.numbers[items],
        }

    def label(self, items):
        return self.strata[items]


def from_arrays(numeric: Path, categorical: Path, label: Path):
    """(numbers [n, 13] float32, categories [n, 26, 2] int64, labels [n]); Faults if a file is
    not like that.
    """
    found, faults = {}, []
    for path, each in ((numeric, NUMBERS), (categorical, 2 * CATEGORIES), (label, 1)):
        array = read_npy(path)
        if array.dtype.kind not in "biuf" or array.size != len(np.atleast_1d(array)) * each:
            shown = f"{list(array.shape)} {array.dtype}"
            faults.append(Fault(str(path), "shape", shown, f"numbers [n, {each}]"))
            continue
        found[path] = array.reshape(-1, each)
        faults += _wrong_values(path, found[path], numeric, label)
    if not faults and len({len(array) for array in found.values()}) > 1:
        sizes = {path.name: len(array) for path, array in found.items()}
        faults.append(
            Fault(str(label), "items", sizes, "the same number of items in all three files")
        )
    if not faults and not len(found[label]):
        faults.append(Fault(str(label), "items", 0, "at least one item"))
    if faults:
        raise Faults(faults)
    return (
        found[numeric].astype(np.float32),
        found[categorical].reshape(-1, CATEGORIES, 2).astype(np.int64),
        found[label].reshape(-1).astype(np.int64),
    )


def _wrong_values(path: Path, array: np.ndarray, numeric: Path, label: Path) -> list[Fault]:
    """A fault for the first value that is none of its kind."""
    if path == numeric:
        right, allowed = np.abs(array.astype(np.float64)) <= LARGEST, "a number of float32"
    elif path == label:
        right, allowed = (array == 0) | (array == 1), "0 or 1"
    else:
        right = (array == np.floor(array)) & (np.abs(array) < 2**53)
        allowed = "a whole number: columns and buckets in turn"
    if right.all():
        return []
    row, column = np.argwhere(~right)[0]
    return [Fault(str(path), f"item {row}, column {column + 1}", array[row, column], allowed)]


def from_csv(path: Path):
    """The same, from the published lines."""
    numbers, buckets, labels = [], [], []
    for number, row in _rows(path):
        place = f"line {number}"
        if len(row) != 1 + NUMBERS + CATEGORIES:
            allowed = "40: the label, 13 numbers, 26 categories"
            raise Faults([Fault(str(path), place, f"{len(row)} columns", allowed)])
        if row[0] not in ("0", "1"):
            raise Faults([Fault(str(path), f"{place}, column 1", row[0], "0 or 1")])
        labels.append(int(row[0]))
        numbers.append(
            [
                _number(path, place, at, text)
                for at, text in enumerate(row[1 : 1 + NUMBERS], start=2)
            ]
        )
        buckets.append([_bucket(row[1 + NUMBERS + at]) for at in CATEGORY_ORDER])
    if not labels:
        raise UserError(f"{path}: has no lines")
    values = np.array(numbers, dtype=np.float32)
    spread = np.ptp(values, axis=0)
    values = (values - values.min(axis=0)) / np.where(spread > 0, spread, 1)
    columns = np.broadcast_to(np.arange(CATEGORIES), (len(labels), CATEGORIES))
    categories = np.stack([columns, np.array(buckets)], axis=2).astype(np.int64)
    return values[:, NUMBER_ORDER].astype(np.float32), categories, np.array(labels)


def _rows(path: Path):
    """(line, columns); UserError for what is no CSV."""
    reader = csv.reader(line for _, line in text_lines(path))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num} is not CSV: {error}") from None


def _number(path: Path, place: str, column: int, text: str) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        number = float("nan")
    if not abs(number) <= LARGEST:
        allowed = "a number of float32, or nothing"
        raise Faults([Fault(str(path), f"{place}, column {column}", text, allowed)])
    return number


@cache
def _bucket(text: str) -> int:
    return fingerprint64(text.encode()[:16]) % BUCKETS
