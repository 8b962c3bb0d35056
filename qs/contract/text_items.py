"""A data set of texts: a JSON object a line, or a row of a CSV file, with a text, perhaps a second
one, and a label.

A `vocab.txt` is read by our WordPiece. A `tokenizer.json` needs the library tokenizers, which the
backend's environment must then have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.contract.labelled_items import LabelledItems, listed
from qs.contract.reading import csv_rows, text_lines
from qs.contract.saved_tokenizer import SavedTokenizer
from qs.contract.wordpiece import WordPiece
from qs.tensors.casting import cast

TABLES = (".csv", ".tsv")
ROLES = ("ids", "mask", "segments", "positions", "text")


class TextItems(LabelledItems):
    """Texts, as tokens padded to the length of the input. A subclass states the attributes that
    differ.
    """

    DATA = "items.jsonl"
    """The file with a JSON object a line; or a .csv or .tsv, whose columns are the keys."""
    DELIMITER = ","
    """What is between the cells of a CSV file."""
    TEXT = "text"
    """The key of the text."""
    PAIR: str | None = None
    """The key of a second text, if there is one."""
    LABEL: str | None = "label"
    """The key of the label; None: there is none."""
    TOKENIZER: str | None = "vocab.txt"
    """`vocab.txt` or `tokenizer.json`; None for models that take the text itself."""
    LOWER_CASE = True
    """Of a vocab.txt: whether it is uncased."""
    INPUTS: Mapping[str, str] = {}
    """Input of the model -> what it takes: ids, mask, segments, positions or text."""

    def preprocess(self) -> None:
        inputs = [spec.name for spec in self.specs()]
        if sorted(self.INPUTS) != sorted(inputs) or set(self.INPUTS.values()) - set(ROLES):
            raise UserError(
                f"INPUTS is {dict(self.INPUTS)}; allowed: for each of {', '.join(inputs)} one of "
                f"{', '.join(ROLES)}"
            )
        file = self.place(self.DATA, "DATA")
        self.texts, labels = read_texts(file, self.TEXT, self.PAIR, self.LABEL, self.DELIMITER)
        self.tokenizer: WordPiece | SavedTokenizer | None = None
        if self.TOKENIZER is not None:
            self.tokenizer = tokenizer_of(self.place(self.TOKENIZER, "TOKENIZER"), self.LOWER_CASE)
        elif set(self.INPUTS.values()) != {"text"}:
            raise UserError("TOKENIZER is None; allowed: a vocab.txt or tokenizer.json")
        self.take(len(self.texts), labels, str(file))

    def feeds(self, items: Any) -> dict[str, np.ndarray]:
        chosen = [self.texts[item] for item in items]
        feeds = {}
        for spec in self.specs():
            role = self.INPUTS[spec.name]
            if role == "text":
                values = np.array([text for text, _ in chosen], dtype=np.str_)
            else:
                length = spec.shape[-1]
                values = np.stack([self.encoded(text, length)[role] for text in chosen])
                values = cast(values, spec.dtype, spec.type)
            feeds[spec.name] = spec.joined(values.reshape(len(chosen), *spec.shape))
        return feeds

    def encoded(self, texts: tuple[str, str | None], length: int) -> dict[str, np.ndarray]:
        """ids, mask, segments and positions of a text, or of a pair, int64 [length]. What is too
        long is cut at its end, of a pair at the end of the longer text.
        """
        assert self.tokenizer is not None
        frame = self.tokenizer.frame
        first = [piece.id for piece in self.tokenizer(texts[0])]
        second = None if texts[1] is None else [piece.id for piece in self.tokenizer(texts[1])]
        around = (
            len(frame.begin) + len(frame.end) + len(frame.between if second is not None else ())
        )
        room = length - around
        if room < 1:
            raise UserError(f"the input takes {length} tokens, and {around} are around a text")
        if second is None:
            first = first[:room]
        else:
            first, second = cut(first, second, room)
        head = [*frame.begin, *first]
        tail = [*frame.end] if second is None else [*second, *frame.end]
        if second is not None:
            head += frame.between
        count = len(head) + len(tail)
        places = np.arange(length, dtype=np.int64)
        ids = np.full(length, self.tokenizer.padding, dtype=np.int64)
        ids[:count] = [*head, *tail]
        segments = np.zeros(length, dtype=np.int64)
        if second is not None:
            segments[len(head) : count] = frame.segment
        return {
            "ids": ids,
            "mask": (places < count).astype(np.int64),
            "segments": segments,
            "positions": places,
        }


def cut(first: list[int], second: list[int], room: int) -> tuple[list[int], list[int]]:
    """Both texts within so many tokens together: the longer one loses its end, as the library
    tokenizers has it (`longest_first`).
    """
    if len(first) + len(second) <= room:
        return first, second
    shorter = min(len(first), len(second), room // 2)
    longer = room - shorter
    if len(first) > len(second):
        return first[:longer], second[:shorter]
    return first[:shorter], second[:longer]


def tokenizer_of(path: Path, lower: bool) -> WordPiece | SavedTokenizer:
    """By the file's suffix."""
    return SavedTokenizer(path) if path.suffix == ".json" else WordPiece.from_file(path, lower)


def read_texts(
    path: Path, text: str, pair: str | None, label: str | None, delimiter: str = ","
) -> tuple[list[tuple[str, str | None]], list[Any] | None]:
    """(text, second text or None) of each line or row with content, and the labels. UserError names
    the first line that is otherwise.
    """
    texts: list[tuple[str, str | None]] = []
    labels: list[Any] = []
    for number, record in records(path, delimiter):
        for key in (text, pair, label):
            if key is not None and key not in record:
                near = nearest(key, record)
                meant = f"; did you mean {near!r}?" if near else ""
                raise UserError(
                    f"{path}: line {number} has no {key!r}; it has {listed(list(record))}{meant}"
                )
        found = record[text], None if pair is None else record[pair]
        if not all(isinstance(each, str) for each in found if each is not None):
            raise UserError(f"{path}: line {number}: {text} is {found[0]!r:.60}; allowed: a text")
        texts.append(found)
        if label is not None:
            given = record[label]
            if not isinstance(given, (str, int, float)):
                raise UserError(
                    f"{path}: line {number}: {label} is {given!r:.60}; allowed: a number or a name"
                )
            labels.append(given)
    if len({isinstance(each, str) for each in labels}) > 1:
        raise UserError(f"{path}: some labels are names and some are numbers; allowed: one kind")
    return texts, labels if label is not None else None


def records(path: Path, delimiter: str = ",") -> Iterator[tuple[int, dict[str, Any]]]:
    """(number of its line, key -> value) of each line of JSON, or row of a CSV file. UserError
    names the first line that is otherwise.
    """
    if path.suffix.lower() in TABLES:
        rows = csv_rows(path, delimiter)
        _, header = next(rows, (0, []))
        for number, cells in rows:
            yield number, dict(zip(header, cells, strict=True))
        return
    for number, line in text_lines(path):
        if line.strip():
            yield number, _record(path, number, line)


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{path}: line {number} is no JSON: {why}") from None
    if not isinstance(record, dict):
        raise UserError(f'{path}: line {number} is no JSON object, such as {{"text": ...}}')
    return record
