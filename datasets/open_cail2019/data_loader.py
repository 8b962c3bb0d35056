"""CAIL2019-SCM, similar cases: `cail2019.jsonl` (JSON lines) and the model's `vocab.txt`.

A line is a triplet {"A", "B", "C", "label": "B" or "C"}: is A more like B or like C? Or a pair
{"text1", "text2", "label": 0 or 1}: alike or not? A file has lines of one kind. An item is a pair
of texts as tokens and segments; a triplet is two items, the similar one first.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.tools import MISSING, Fault, Faults, UserError, text_lines
from qs.contract.wordpiece import PADDING, SEPARATOR, START, WordPiece


class DataLoader(ItemDataset):
    """config is the model info: the input with "segment" in its name gets those, the other the
    tokens.
    """

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        data, vocab = self.find("cail2019.jsonl", "vocab.txt")
        self.segment_input = next(name for name in self.inputs() if "segment" in name.lower())
        self.token_input = next(name for name in self.inputs() if name != self.segment_input)
        self.length = self.shape(self.token_input)[-1]
        self.tokenizer = WordPiece.from_file(vocab)
        self.triplets, self.pairs, targets = read_pairs(data)
        self.items = len(self.pairs)
        if self.triplets:
            self.groups = np.arange(self.items) // 2
        else:
            self.strata = targets
        self.targets = targets
        self.rebatch(1, skip=False)

    def feeds(self, items):
        tokens = np.full((len(items), self.length), self.tokenizer.id(PADDING), dtype=np.float32)
        segments = np.zeros_like(tokens)
        for row, item in enumerate(items):
            first, second = (
                [piece.id for piece in self.tokenizer(text)] for text in self.pairs[item]
            )
            while len(first) + len(second) > self.length - 3:  # shorten the longer one
                (first if len(first) >= len(second) else second).pop()
            separator = self.tokenizer.id(SEPARATOR)
            ids = [self.tokenizer.id(START), *first, separator, *second, separator]
            tokens[row, : len(ids)] = ids
            segments[row, len(first) + 2 : len(ids)] = 1
        return {self.segment_input: segments, self.token_input: tokens}

    def label(self, items):
        """1 for pairs that are alike, 0 for others; of a triplet the first pair is alike."""
        return self.targets[items]


def read_pairs(path: Path):
    """(whether they are triplets, pairs of texts, labels); Faults names the first wrong line."""
    pairs, targets, kinds = [], [], set()
    for number, line in text_lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: line {number} is not JSON: {error}") from None
        if not isinstance(record, dict):
            raise Faults([Fault(str(path), f"line {number}", record, "an object")])
        triplet = "A" in record or "text1" not in record
        kinds.add(triplet)
        if len(kinds) > 1:
            allowed = "the same kind as the lines before"
            raise Faults([Fault(str(path), f"line {number}", sorted(record), allowed)])
        keys = ("A", "B", "C") if triplet else ("text1", "text2")
        texts = [_text(record, key, path, number) for key in keys]
        label = _label(record, ("B", "C") if triplet else (0, 1), path, number)
        if triplet:
            alike, other = (1, 2) if label == "B" else (2, 1)
            pairs += [(texts[0], texts[alike]), (texts[0], texts[other])]
            targets += [1, 0]
        else:
            pairs.append((texts[0], texts[1]))
            targets.append(label)
    if not pairs:
        raise UserError(f"{path}: has no lines")
    return kinds == {True}, pairs, np.array(targets)


def _text(record, key, path, number):
    value = record.get(key, MISSING)
    if not isinstance(value, str):
        raise Faults([Fault(str(path), f"line {number}, {key}", value, "text")])
    return value


def _label(record, allowed, path, number):
    label = record.get("label", MISSING)
    if type(label) is not type(allowed[0]) or label not in allowed:
        shown = " or ".join(map(repr, allowed))
        raise Faults([Fault(str(path), f"line {number}, label", label, shown)])
    return label
