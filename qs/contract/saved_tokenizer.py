"""A tokenizer saved by the library `tokenizers` (`tokenizer.json`): byte-level BPE,
SentencePiece's unigrams, or any other.

RoBERTa and DeBERTa have the first kind, ALBERT the second. The library is imported when a file is
read: data sets run in a backend's environment, whose requirements must then name it.
"""

from __future__ import annotations

from pathlib import Path

from qs.base.errors import UserError
from qs.contract.wordpiece import Frame, Piece


class SavedTokenizer:
    """Pieces of a text without special tokens, and `frame`: the tokens around and between two
    texts.
    """

    def __init__(self, path: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise UserError(
                f"{path} needs the library tokenizers, which is not installed in this environment: "
                "install it, or add it to the backend's requirements.txt"
            ) from None
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises a bare Exception
            raise UserError(f"{path}: is not a tokenizer: {str(error).splitlines()[0]}") from None
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
        """As found in an encoded pair of texts."""
        coded = self._tokenizer.encode("a", "b")
        texts = coded.sequence_ids
        if 0 not in texts or 1 not in texts:
            raise UserError(
                f"{path}: does not encode pairs of texts; use the tokenizer of a question "
                "answering model"
            )
        first, second = texts.index(0), texts.index(1)
        last_first, last_second = (len(texts) - 1 - texts[::-1].index(text) for text in (0, 1))
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
    """Without the space before a word, which some tokenizers count as part of it."""
    while begin < end and text[begin].isspace():
        begin += 1
    return begin, end
