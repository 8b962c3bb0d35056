"""A data set whose labels are classes or numbers, as they are found in files: numbers, names,
one-hot rows. What all stock data sets share.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import NoItems, UserError
from qs.base.names import nearest
from qs.contract.item_dataset import ItemDataset
from qs.contract.metrics import CLASSES, NUMBERS
from qs.contract.reading import text_lines
from qs.tensors.generated import InputSpec, input_specs

KINDS = (CLASSES, NUMBERS)
_SHOWN = 8  # names in a message


class LabelledItems(ItemDataset):
    """A subclass's `preprocess` ends with `take(items, labels, where)`."""

    LABELS_ARE = CLASSES
    """"classes" or "numbers"."""
    CLASSES: Sequence[str] | str | None = None
    """Names in the order of the model's scores, or a file with one a line; None: the names that
    occur, sorted, or numbers as they are."""
    FIRST_LABEL = 0
    """The number of the model's first class in the data."""

    targets: np.ndarray | None = None
    """The labels: int64 [items] from 0, or float64 [items]; None: the data has none."""
    classes: list[str] | None = None
    """The names of the classes, if they have some."""

    def take(self, items: int, labels: Sequence[Any] | np.ndarray | None, where: str) -> None:
        """Set the number of items and their labels. Messages call the labels' place `where`.

        UserError for labels of another number, missing or infinite ones, and names that CLASSES
        does not have; NoItems for no items.
        """
        if self.LABELS_ARE not in KINDS:
            raise UserError(f"LABELS_ARE is {self.LABELS_ARE!r}; allowed: {', '.join(KINDS)}")
        if items < 1:
            raise NoItems(f"{where}: there are no items")
        self.items = items
        if labels is not None:
            if len(labels) != items:
                raise UserError(f"{where}: there are {len(labels)} labels for {items} items")
            self.classes = self._named_classes()
            if self.LABELS_ARE == NUMBERS:
                self.targets = numbers(labels, where)
            else:
                found = class_numbers(labels, self.classes, where)
                self.targets, self.classes = found.numbers, found.names
                if found.as_numbers:
                    self.targets = self.targets - self.FIRST_LABEL
                self.strata = self.targets
        self.rebatch(1, skip=False)

    def label(self, items: Any) -> np.ndarray:
        if self.targets is None:
            raise UserError(f"the data set {self.name()} has no labels")
        return self.targets[items]

    def get_samples(self, sample_id: int) -> Any:
        if self.targets is not None:
            return super().get_samples(sample_id)
        if not 0 <= sample_id < self.batch_num:
            raise ValueError(f"there is no batch {sample_id}, only {self.batch_num} batches")
        return self.feeds(self.get_id(sample_id))

    def place(self, stated: str | os.PathLike[str], key: str) -> Path:
        """The file or folder that a key states; relative paths begin at the data set's folder.

        UserError if it is not there.
        """
        path = Path(os.path.normpath(self.FOLDER / os.path.expanduser(stated)))
        if not path.exists():
            raise UserError(
                f"{path} is missing ({key} in {self.FOLDER / 'data_loader.py'}); put it there, "
                "state another place, or set fake_data to true in the workload"
            )
        return path

    def specs(self) -> list[InputSpec]:
        """The model's inputs: name, shape at batch size 1, type, batch dimension."""
        return input_specs(self.config)

    def _named_classes(self) -> list[str] | None:
        if self.CLASSES is None or self.LABELS_ARE == NUMBERS:
            return None
        if not isinstance(self.CLASSES, str):
            return distinct([str(name) for name in self.CLASSES], "CLASSES")
        path = self.place(self.CLASSES, "CLASSES")
        return distinct([line.strip() for _, line in text_lines(path) if line.strip()], str(path))


def distinct(names: list[str], where: str) -> list[str]:
    """The names themselves. UserError if one occurs twice, or there are none."""
    twice = sorted({name for name in names if names.count(name) > 1}) if names else []
    if twice or not names:
        said = f"{listed(twice)} occurs twice" if twice else "it has no names"
        raise UserError(f"{where}: {said}; allowed: each class once")
    return names


def listed(names: Sequence[object]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more


def numbers(labels: Sequence[Any] | np.ndarray, where: str) -> np.ndarray:
    """Labels as float64 [items]. UserError names the first item whose label is no finite number."""
    raw = np.asarray(labels)
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if raw.ndim != 1:
        raise UserError(f"{where}: the labels have shape {list(raw.shape)}; allowed: one an item")
    try:
        found = raw.astype(np.float64)
    except (TypeError, ValueError):
        at = next(at for at, each in enumerate(raw.tolist()) if not _is_number(each))
        raise UserError(
            f"{where}: the label of item {at} is {raw[at]!r}; allowed: a number"
        ) from None
    wrong = np.flatnonzero(~np.isfinite(found))
    if wrong.size:
        raise UserError(
            f"{where}: the labels of {len(wrong)} items are not finite, that of item {wrong[0]} "
            "first"
        )
    return found


@dataclass(frozen=True)
class ClassNumbers:
    """The class of each item, int64 [items]; the classes' names; and whether the labels were
    numbers.
    """

    numbers: np.ndarray
    names: list[str] | None
    as_numbers: bool = False


def class_numbers(
    labels: Sequence[Any] | np.ndarray, classes: list[str] | None, where: str
) -> ClassNumbers:
    """Labels as classes.

    Names are looked up in `classes`, or sorted; numbers stay what they are, also as text. Rows with
    one 1 and otherwise 0 are one-hot. UserError for anything else, with the first item.
    """
    raw = np.asarray(labels)
    if classes and raw.dtype.kind in "iu" and set(map(str, raw.ravel().tolist())) <= set(classes):
        raw = raw.astype(np.str_)  # names that are numbers
    if raw.ndim == 2 and raw.shape[1] > 1:
        return ClassNumbers(_of_one_hot(raw, where), classes)
    if raw.dtype.kind in "OUS":
        names = [_text(each) for each in raw.reshape(-1).tolist()]
        empty = next((at for at, name in enumerate(names) if not name), None)
        if empty is not None:
            raise UserError(f"{where}: item {empty} has no label")
        if not all(map(_is_number, names)) or (classes and set(names) <= set(classes)):
            known = classes or sorted(set(names))
            return ClassNumbers(_of_names(names, known, where), known)
        raw = np.array(names, dtype=np.float64)
    found = numbers(raw, where)
    wrong = np.flatnonzero(found != np.rint(found))
    if wrong.size:
        raise UserError(
            f"{where}: the label of item {wrong[0]} is {found[wrong[0]]}; allowed: whole numbers "
            "for classes (LABELS_ARE = 'numbers' otherwise)"
        )
    return ClassNumbers(found.astype(np.int64), classes, True)


def _of_names(names: list[str], classes: list[str], where: str) -> np.ndarray:
    known = {name: number for number, name in enumerate(classes)}
    for at, name in enumerate(names):
        if name not in known:
            near = nearest(name, classes)
            meant = f"; did you mean {near!r}?" if near else ""
            raise UserError(
                f"{where}: the label of item {at} is {name!r}, which is none of the "
                f"{len(classes)} classes {listed(classes)}{meant}"
            )
    return np.array([known[name] for name in names], dtype=np.int64)


def _of_one_hot(raw: np.ndarray, where: str) -> np.ndarray:
    if raw.dtype.kind not in "biuf":
        raise UserError(f"{where}: the labels have shape {list(raw.shape)}; allowed: one an item")
    right = ((raw == 0) | (raw == 1)).all(axis=1) & (raw.sum(axis=1) == 1)
    if not right.all():
        raise UserError(
            f"{where}: the labels have shape {list(raw.shape)}, and row "
            f"{np.flatnonzero(~right)[0]} does not have one 1 and otherwise 0; allowed: one class "
            "an item, as number, name or one-hot row"
        )
    return raw.argmax(axis=1).astype(np.int64)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "" if value is None else str(value).strip()


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
