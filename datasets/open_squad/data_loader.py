"""SQuAD 1.1 from `dev-v1.1.json` and the model's tokenizer: questions with their paragraph, in
windows that fit the model.

An item is a window: [CLS] question [SEP] part of the paragraph [SEP], or the tokenizer's own form,
padded. Long paragraphs give several windows, DOC_STRIDE tokens apart; questions are cut to
MAX_QUERY tokens. The window's length is the model's own (384 as published). The tokenizer is
`vocab.txt` (WordPiece), or the one in the model info's key `tokenizer`: `tokenizer.json`, beside
the model's file or here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qs.contract.item_dataset import ItemDataset
from qs.contract.saved_tokenizer import SavedTokenizer
from qs.contract.tools import MISSING, Fault, Faults, UserError
from qs.contract.wordpiece import Piece, WordPiece

DOC_STRIDE, MAX_QUERY = 128, 64
SAVED = "tokenizer.json"


@dataclass(frozen=True)
class Question:
    """A question, its paragraph, and the right answers."""

    id: str
    text: str
    context: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Window:
    """`first` is the position of the paragraph's first piece in the input; `best[i]`: this window
    shows piece i with the most context.
    """

    question: int
    ids: np.ndarray
    segments: np.ndarray
    length: int
    first: int
    pieces: tuple[Piece, ...]
    best: np.ndarray


class DataLoader(ItemDataset):
    """config is the model info: inputs with "mask", and "token_type" or "segment", in their names
    get those; the third gets the ids.
    """

    FOLDER = Path(__file__).resolve().parent

    def preprocess(self):
        data, tokenizer = self._files()
        self.roles = {role_of(name): name for name in self.inputs()}
        self.length = self.shape(self.inputs()[0])[-1]
        self.questions = read_questions(data)
        self.windows = [
            window
            for number, question in enumerate(self.questions)
            for window in windows(number, question, tokenizer, self.length)
        ]
        self.padding = tokenizer.padding
        self.items = len(self.windows)
        self.groups = np.array([window.question for window in self.windows])
        self.rebatch(1, skip=False)

    def _files(self):
        """The questions' file, and the tokenizer."""
        if self.config.get("tokenizer") != SAVED:
            data, vocab = self.find("dev-v1.1.json", "vocab.txt")
            return data, WordPiece.from_file(vocab, lower=bool(self.config.get("lower_case", True)))
        model = Path(str(self.config.get("model_path") or ""))
        beside = (place.parent / SAVED for place in (model, self.FOLDER.parents[1] / model))
        saved = next((path for path in beside if path.is_file()), None)
        data, *own = self.find("dev-v1.1.json", *([] if saved else [SAVED]))
        return data, SavedTokenizer(saved or own[0])

    def feeds(self, items):
        ids = np.full((len(items), self.length), self.padding, dtype=np.int64)
        mask, segments = np.zeros_like(ids), np.zeros_like(ids)
        for row, item in enumerate(items):
            window = self.windows[item]
            ids[row, : window.length], segments[row, : window.length] = window.ids, window.segments
            mask[row, : window.length] = 1
        given = {"ids": ids, "mask": mask, "segments": segments}
        types = dict(
            zip(self.inputs(), _types(self.config["input_type"], len(self.inputs())), strict=True)
        )
        return {
            name: given[role].astype(np.int32 if types[name] == "INT32" else np.int64)
            for role, name in self.roles.items()
        }

    def label(self, items):
        """The questions' ids."""
        return [self.questions[self.windows[item].question].id for item in items]


def role_of(name: str) -> str:
    low = name.lower()
    return (
        "mask"
        if "mask" in low
        else "segments"
        if "segment" in low or "token_type" in low
        else "ids"
    )


def read_questions(path: Path) -> list[Question]:
    """All questions; Faults names the first broken record by its place in the file."""
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is not JSON: {error}") from None
    found = []
    file = str(path)
    for a, article in enumerate(_list(_of(articles, "data", file, ""), file, "data")):
        for p, paragraph in enumerate(
            _list(_of(article, "paragraphs", file, f"data[{a}]"), file, f"data[{a}].paragraphs")
        ):
            place = f"data[{a}].paragraphs[{p}]"
            context = _text(paragraph, "context", file, place)
            for q, asked in enumerate(
                _list(_of(paragraph, "qas", file, place), file, f"{place}.qas")
            ):
                where = f"{place}.qas[{q}]"
                answers = _list(_of(asked, "answers", file, where), file, f"{where}.answers")
                texts = tuple(
                    _text(each, "text", file, f"{where}.answers[{n}]")
                    for n, each in enumerate(answers)
                )
                if not texts:
                    raise Faults(
                        [
                            Fault(
                                file, f"{where}.answers", [], "at least one answer, as in SQuAD 1.1"
                            )
                        ]
                    )
                name, text = _text(asked, "id", file, where), _text(asked, "question", file, where)
                found.append(Question(name, text, context, texts))
    if not found:
        raise UserError(f"{path}: has no questions")
    return found


def _of(record, key, file, place):
    if not isinstance(record, dict):
        raise Faults([Fault(file, place or "the file", record, f"an object with {key!r}")])
    if key not in record:
        raise Faults(
            [
                Fault(
                    file,
                    f"{place}.{key}".lstrip("."),
                    MISSING,
                    "a value: SQuAD 1.1 has it in every record",
                )
            ]
        )
    return record[key]


def _list(value, file, place):
    if not isinstance(value, list):
        raise Faults([Fault(file, place, value, "a list")])
    return value


def _text(record, key, file, place):
    value = _of(record, key, file, place)
    if not isinstance(value, str):
        raise Faults([Fault(file, f"{place}.{key}", value, "text")])
    return value


def windows(
    number: int, question: Question, tokenizer: WordPiece | SavedTokenizer, length: int
) -> list[Window]:
    """The question's windows over its paragraph."""
    frame = tokenizer.frame
    asked = [piece.id for piece in tokenizer(question.text)][:MAX_QUERY]
    pieces = tokenizer(question.context)
    room = length - len(asked) - len(frame.begin + frame.between + frame.end)
    if room < 1:
        raise UserError(f"a question of {len(asked)} tokens leaves no room in the model's {length}")
    begins = [0]
    while begins[-1] + room < len(pieces):
        begins.append(begins[-1] + min(room, DOC_STRIDE))
    spans = [(begin, min(room, len(pieces) - begin)) for begin in begins]
    first = len(frame.begin) + len(asked) + len(frame.between)
    found = []
    for which, (begin, count) in enumerate(spans):
        shown = tuple(pieces[begin : begin + count])
        ids = np.array(
            [*frame.begin, *asked, *frame.between, *(piece.id for piece in shown), *frame.end]
        )
        segments = np.zeros(len(ids), dtype=np.int64)
        segments[first:] = frame.segment
        best = np.array(
            [_most_context(spans, begin + at) == which for at in range(count)], dtype=bool
        )
        found.append(Window(number, ids, segments, len(ids), first, shown, best))
    return found


def _most_context(spans: list[tuple[int, int]], piece: int) -> int:
    """The window with the most context on the poorer side of a piece, as in BERT's published
    evaluation.
    """
    scores = [
        min(piece - begin, begin + count - 1 - piece) + 0.01 * count
        if begin <= piece < begin + count
        else -1.0
        for begin, count in spans
    ]
    return int(np.argmax(scores))


def _types(stated, count):
    names = (
        [name.strip() for name in stated.split(",")] if isinstance(stated, str) else list(stated)
    )
    return names * count if len(names) == 1 else names
