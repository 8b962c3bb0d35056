"""Counting tokens: by the model's tokenizer (the library `tokenizers`), or by the endpoint that a
server has for it. Neither is asked while anything is measured.

A text that is cut into tokens and put together again may come out with other tokens, or as another
text; `round_trip` says how often. Left out: special tokens and the chat template, which the server
adds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from qs.base.errors import Fault, Faults, UserError

FILE = "tokenizer.json"
FLAG = "--tokenizer"
# Texts that the library is given at a time.
BATCH = 1_024
# Of texts that a server has counted, the lengths that are kept.
MOST_KEPT = 65_536
# POST of JSON to a path below the server's root ("/tokenize"), and what its answer says; None where
# it answers by anything but JSON of a good status.
Ask = Callable[[str, Mapping[str, Any]], Any]


class Tokenizer(Protocol):
    """What counts the tokens of texts. Special tokens (begin, end, chat template) are left out."""

    # as a report names it
    name: str

    def count(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each has; -1 for one that could not be counted."""
        ...


class SavedTokenizer:
    """A `tokenizer.json`, or a folder with one. UserError if it cannot be read."""

    def __init__(self, path: str) -> None:
        try:
            from tokenizers import Tokenizer as Library
        except ImportError:
            hint = 'the library tokenizers is missing: pip install "quicksilver-perf[llm]"'
            raise UserError(f"{FLAG} {path}: {hint}") from None
        self.name = path
        place = Path(path).expanduser()
        file = place / FILE if place.is_dir() else place
        if not file.is_file():
            allowed = f"a {FILE}, or a folder with one"
            raise Faults([Fault(FLAG, "", path, allowed)])
        try:
            self._library = Library.from_file(str(file))
        except Exception as fault:  # the library raises a bare Exception
            told = (str(fault).splitlines() or ["unreadable"])[0]
            raise UserError(f"{FLAG} {path}: {file.name} is not a tokenizer: {told}") from None
        self._library.no_truncation()
        self._library.no_padding()

    def count(self, texts: Sequence[str]) -> list[int]:
        found: list[int] = []
        for at in range(0, len(texts), BATCH):
            batch = [_sound(text) for text in texts[at : at + BATCH]]
            coded = self._library.encode_batch(batch, add_special_tokens=False)
            found += [len(each) for each in coded]
        return found

    def encode(self, text: str) -> list[int]:
        return list(self._library.encode(_sound(text), add_special_tokens=False).ids)

    def pieces(self, text: str) -> list[str]:
        """The text, cut where its tokens end."""
        sound = _sound(text)
        found = self._library.encode(sound, add_special_tokens=False).offsets
        cuts = [0, *(end for _, end in found), len(sound)]
        return [sound[a:b] for a, b in zip(cuts, cuts[1:]) if b > a]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._library.decode(list(ids), skip_special_tokens=False))


class RoundTrip(NamedTuple):
    """What became of texts that were encoded, decoded and encoded again."""

    texts: int
    other_text: int  # the text came out otherwise
    other_count: int  # its tokens are more or fewer the second time
    most: int  # by how many at most


def round_trip(tokenizer: SavedTokenizer, texts: Sequence[str]) -> RoundTrip:
    """Whoever cuts prompts to length by tokens, and sends texts, should know of it."""
    other_text = other_count = most = 0
    for text in texts:
        ids = tokenizer.encode(text)
        again = tokenizer.decode(ids)
        off = abs(len(tokenizer.encode(again)) - len(ids))
        other_text += again != text
        other_count += off > 0
        most = max(most, off)
    return RoundTrip(len(texts), other_text, other_count, most)


@dataclass(frozen=True)
class Dialect:
    """How one kind of server is asked for the tokens of a text, all by POST /tokenize."""

    server: str
    body: Callable[[str, str], dict[str, Any]]  # of text and model
    count: Callable[[Any], int | None]  # of the answer; None if it is not this server's


def _by_count(answer: Any) -> int | None:
    if isinstance(answer, dict):
        count, tokens = answer.get("count"), answer.get("tokens")
        if isinstance(count, int) and not isinstance(count, bool) and count >= 0:
            return count
        return len(tokens) if isinstance(tokens, list) else None
    return None


def _by_length(answer: Any) -> int | None:
    """TGI's list has the special tokens too: they stand at no place of the text."""
    if not isinstance(answer, list):
        return None
    tokens = [each for each in answer if isinstance(each, dict)]
    return sum(1 for each in tokens if each.get("start") != each.get("stop") or "start" not in each)


# vLLM's body is SGLang's as well. llama.cpp's and TGI's need other names, and say so: an answer
# without tokens, or an error.
DIALECTS = (
    Dialect(
        "vLLM, SGLang",
        lambda text, model: {"model": model, "prompt": text, "add_special_tokens": False},
        _by_count,
    ),
    Dialect(
        "llama.cpp",
        lambda text, model: {"content": text, "add_special": False},
        _by_count,
    ),
    Dialect(
        "TGI",
        lambda text, model: {"inputs": text, "add_special_tokens": False},
        _by_length,
    ),
)
_PROBE = "One two three four five six seven."


class ServerTokenizer:
    """The endpoint of a server; made by `server_tokenizer`. Each text is asked for once."""

    def __init__(self, ask: Ask, model: str, dialect: Dialect) -> None:
        self.name = f"the server's /tokenize ({dialect.server})"
        self._ask, self._model, self._dialect = ask, model, dialect
        self._known: dict[str, int] = {"": 0}

    def count(self, texts: Sequence[str]) -> list[int]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> int:
        found = self._known.get(text)
        if found is None:
            text = _sound(text)
            told = self._dialect.count(self._ask(_PATH, self._dialect.body(text, self._model)))
            found = -1 if told is None else told
            if len(self._known) < MOST_KEPT:
                self._known[text] = found
        return found


_PATH = "/tokenize"


def server_tokenizer(ask: Ask, model: str) -> ServerTokenizer | None:
    """The server's own, whichever kind it is; None if it has none. Two texts tell whether it is
    one: a server that knows none of the names that it is asked with may count nothing, or always
    the same.
    """
    for dialect in DIALECTS:
        made = ServerTokenizer(ask, model, dialect)
        few, many = made.count([_PROBE, f"{_PROBE} {_PROBE}"])
        if 0 < few < many:
            return made
    return None


def tokenizer_of(stated: str, ask: Ask | None, model: str) -> Tokenizer | None:
    """What `--tokenizer` means: a path, "server", "none", or "" for what there is, which is the
    server's where it can be asked and has one. UserError if what is stated is not to be had.
    """
    if stated == "none":
        return None
    if stated not in ("", "server"):
        return SavedTokenizer(stated)
    found = None if ask is None else server_tokenizer(ask, model)
    if found is None and stated:
        allowed = f"a {FILE}, or a folder with one: this server has no endpoint for tokens"
        raise Faults([Fault(FLAG, "", stated, allowed)])
    return found


def _sound(text: str) -> str:
    """Half a pair of surrogates, which JSON may hold, is no character of any tokenizer's."""
    return text.encode("utf-8", "replace").decode("utf-8") if not _is_sound(text) else text


def _is_sound(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
