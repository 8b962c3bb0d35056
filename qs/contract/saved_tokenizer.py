"""A tokenizer as the library `tokenizers` saves it (`tokenizer.json`): byte-level BPE,
SentencePiece's unigrams, or any other.

RoBERTa and DeBERTa have the first kind, ALBERT the second. The library is imported when a file is
read: a data set runs in a backend's environment, whose requirements then name it.
"""

from __future__ import annotations

from pathlib import Path

from qs.base.errors import UserError
from qs.contract.wordpiece import Frame, Piece


class SavedTokenizer:
    """Pieces of a text without special tokens, and `frame`: what a model of it wants around and
    between two texts.
    """

    def __init__(self, path: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UserError(
                f"{path} is read by the library tokenizers, which this environment lacks: install "
                "it, or add it to the backend's requirements.txt"
            ) from None
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises a bare Exception
            raise UserError(f"{path}: is no tokenizer: {str(error).splitlines()[0]}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.frame = self._frame(path)
        self.padding = self._padding(path)

    def __call__(self, text: str) -> list[Piece]:
        coded = self._tokenizer.encode(text, add_special_tokens=False)
        return [
            Piece(number, *_trimmed(text, *place))
            for number, place in zip(coded.ids, coded.offsets, strict=True)
        ]

    def _frame(self, path: Path) -> Frame:
        """Read off a pair of texts."""
        coded = self._tokenizer.encode("a", "b")
        sides = coded.sequence_ids
        if 0 not in sides or 1 not in sides:
            raise UserError(
                f"{path}: does not put two texts together; the tokenizer of a question answering "
                "model does"
            )
        first, second = sides.index(0), sides.index(1)
        last_first, last_second = (len(sides) - 1 - sides[::-1].index(side) for side in (0, 1))
        ids = coded.ids
        return Frame(
            tuple(ids[:first]),
            tuple(ids[last_first + 1 : second]),
            tuple(ids[last_second + 1 :]),
            coded.type_ids[second],
        )

    def _padding(self, path: Path) -> int:
        for name in ("<pad>", "[PAD]"):
            number = self._tokenizer.token_to_id(name)
            if number is not None:
                return number
        raise UserError(f"{path}: has no token <pad> or [PAD]")


def _trimmed(text: str, begin: int, end: int) -> tuple[int, int]:
    """Without the space before a word that some tokenizers count to it."""
    while begin < end and text[begin].isspace():
        begin += 1
    return begin, end
