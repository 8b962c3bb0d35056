"""BERT's tokenizer, from a vocab.txt: basic tokens with their positions in the text, then the
longest pieces in the vocabulary.

Our own code, on the standard library alone, since data sets run in a backend's environment
(docs/decisions/0010). The definition is that of the BERT paper's published code: lower case without
accents (uncased models), spaces around punctuation and Chinese characters, greedy longest match.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from qs.base.errors import UserError

UNKNOWN, START, SEPARATOR, PADDING = "[UNK]", "[CLS]", "[SEP]", "[PAD]"
LONGEST_WORD = 100
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


@dataclass(frozen=True)
class Piece:
    """A token's id, and its position in the text."""

    id: int
    begin: int
    end: int


@dataclass(frozen=True)
class Frame:
    """Ids of the special tokens before, between and after two texts; `segment` is the token type of
    the second text and of what follows it.
    """

    begin: tuple[int, ...]
    between: tuple[int, ...]
    end: tuple[int, ...]
    segment: int


class WordPiece:
    """`lower` for uncased vocabularies."""

    def __init__(self, vocab: dict[str, int], lower: bool = True) -> None:
        self.vocab, self.lower = vocab, lower
        self._known: dict[str, list[int]] = {}

    @classmethod
    def from_file(cls, path: Path, lower: bool = True) -> WordPiece:
        """One token a line; the line's number is its id. UserError if a special token is
        missing.
        """
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: is not UTF-8 text (byte {error.start}); allowed: one token a line"
            ) from None
        vocab = {line.rstrip("\r"): number for number, line in enumerate(lines) if line.strip()}
        missing = [token for token in (PADDING, UNKNOWN, START, SEPARATOR) if token not in vocab]
        if missing:
            raise UserError(
                f"{path}: has no token {', '.join(missing)}; the vocab.txt of a BERT model is "
                "needed"
            )
        return cls(vocab, lower)

    def id(self, token: str) -> int:
        return self.vocab[token]

    @property
    def frame(self) -> Frame:
        """[CLS] first text [SEP] second text [SEP]."""
        separator = (self.vocab[SEPARATOR],)
        return Frame((self.vocab[START],), separator, separator, 1)

    @property
    def padding(self) -> int:
        return self.vocab[PADDING]

    def __call__(self, text: str) -> list[Piece]:
        found = []
        for word, begin, end in words(text, self.lower):
            for number in self._pieces(word):
                found.append(Piece(number, begin, end))
        return found

    def _pieces(self, word: str) -> list[int]:
        if word not in self._known:
            self._known[word] = self._split(word)
        return self._known[word]

    def _split(self, word: str) -> list[int]:
        unknown = [self.vocab[UNKNOWN]]
        if len(word) > LONGEST_WORD:
            return unknown
        found, begin = [], 0
        while begin < len(word):
            for end in range(len(word), begin, -1):
                number = self.vocab.get(("##" if begin else "") + word[begin:end])
                if number is not None:
                    break
            else:
                return unknown
            found.append(number)
            begin = end
        return found


def words(text: str, lower: bool = True) -> list[tuple[str, int, int]]:
    """(basic token, begin, end in the text)."""
    found: list[tuple[str, int, int]] = []
    letters: list[str] = []
    began = 0

    def close(at: int) -> None:
        if letters:
            found.append(("".join(letters), began, at))
            letters.clear()

    for at, char in enumerate(text):
        kind = unicodedata.category(char)
        if char.isspace() or kind == "Zs":
            close(at)
        elif ord(char) in (0, 0xFFFD) or kind.startswith("C"):
            continue
        elif _alone(char, kind):
            close(at)
            found.append((char, at, at + 1))
        else:
            if not letters:
                began = at
            letters.extend(_plain(char) if lower else char)
    close(len(text))
    return found


def _alone(char: str, kind: str) -> bool:
    code = ord(char)
    ascii_sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return (
        ascii_sign or kind.startswith("P") or any(low <= code <= high for low, high in _IDEOGRAPHS)
    )


def _plain(char: str) -> str:
    return "".join(
        each
        for each in unicodedata.normalize("NFD", char.lower())
        if unicodedata.category(each) != "Mn"
    )
