"""What is asked of a new task, and what a kind of data makes of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qs.base.errors import Fault, Faults

LABEL_NAMES = ("label", "labels", "target", "targets", "class", "y", "y_val", "y_test", "score")


@dataclass(frozen=True)
class Asked:
    """The options of `qs new-task`. None: not given."""

    name: str
    model: Path
    into: Path = Path()
    data: Path | None = None
    data_of: Mapping[str, Path] = field(default_factory=dict)
    """Input -> file, for arrays in several files."""
    labels: str | None = None
    classes: str | None = None
    metrics: Sequence[str] = ()
    output: str | None = None
    activation: str | None = None
    threshold: float | None = None
    kind: str | None = None
    layout: str | None = None
    channels: str | None = None
    resize: str | None = None
    interpolation: str | None = None
    scale: float | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    preprocessor: Path | None = None
    tokenizer: Path | None = None
    text: str | None = None
    pair: str | None = None
    cased: bool = False
    length: int | None = None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    codes: Path | None = None
    scaling: Path | None = None
    delimiter: str | None = None
    missing: float | None = None
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    batch_axis: Sequence[tuple[str, int | str | None]] = ()
    batch_sizes: Sequence[int] = ()
    outputs: Sequence[str] = ()
    copy_data: bool = False
    force: bool = False


@dataclass(frozen=True)
class Guess:
    """Something that nobody stated, in words, and what states it."""

    what: str
    how: str


@dataclass(frozen=True)
class Key:
    """A key of a generated class: its value, and a comment."""

    value: Any
    says: str = ""


class Described:
    """A model as `ArtifactService.describe` gives it."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw

    @property
    def inputs(self) -> list[Mapping[str, Any]]:
        return list(self.raw["inputs"])

    @property
    def names(self) -> list[str]:
        return [each["name"] for each in self.inputs]

    def item_shape(self, name: str) -> tuple[int, ...]:
        """Without the batch dimension, with guesses for what is open."""
        each = next(each for each in self.inputs if each["name"] == name)
        return self.item_of(name, each["shape"])

    def item_of(self, name: str, call: Sequence[int]) -> tuple[int, ...]:
        """The shape of an item, of that of a call."""
        axis = next(each for each in self.inputs if each["name"] == name)["batch_axis"]
        whole = tuple(call)
        return whole if axis is None else whole[:axis] + whole[axis + 1 :]

    def is_open(self, name: str) -> bool:
        """Whether the file leaves a dimension of an item open."""
        each = next(each for each in self.inputs if each["name"] == name)
        return any(at != each["batch_axis"] for at in each["guessed"])

    def whole_shape(self, name: str, item: Sequence[int]) -> tuple[int, ...]:
        """The shape of a call of one item of that shape."""
        axis = next(each for each in self.inputs if each["name"] == name)["batch_axis"]
        return tuple(item) if axis is None else (*item[:axis], 1, *item[axis:])


@dataclass
class Plan:
    """A stock data set and what it states."""

    base: str
    """A class of qs.contract."""
    keys: dict[str, Key] = field(default_factory=dict)
    guesses: list[Guess] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Of inputs that the model's file leaves open and the data does not."""
    files: dict[str, str] = field(default_factory=dict)
    """Files beside data_loader.py, by name."""
    places: dict[str, Path] = field(default_factory=dict)
    """The user's own files and folders, by how the keys call them."""
    has_labels: bool = True

    def place(self, path: Path) -> str:
        """How the keys call a file or folder, until it is known where the data set will lie."""
        stated = str(path.absolute())
        self.places[stated] = path.absolute()
        return stated


def fault(flag: str, value: object, allowed: str, hint: str | None = None) -> Faults:
    return Faults([Fault(flag, "", str(value), allowed, hint=hint)])


def existing(flag: str, path: Path) -> Path:
    """The path, if something is there."""
    path = Path(os.path.expanduser(path))
    if not path.exists():
        raise fault(flag, path, "a file or folder that is there")
    return path


def classes_key(asked: Asked, plan: Plan) -> None:
    """The names of classes that the user states: a file, or names with commas."""
    if asked.classes is None:
        return
    path = Path(os.path.expanduser(asked.classes))
    if path.is_file():
        plan.keys["CLASSES"] = Key(plan.place(path))
    elif "," in asked.classes:
        plan.keys["CLASSES"] = Key([name.strip() for name in asked.classes.split(",")])
    else:
        raise fault("--classes", asked.classes, "a file with a name a line, or names: cat,dog")
