"""Enums of strings print as their values in every Python that is supported: what Enum makes of a
member in a sentence or an f-string differs between 3.10, 3.11 and 3.12.
"""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import pkgutil
from enum import Enum

import orjson
import pytest

import qs


def words() -> list[Enum]:
    """The members of every enum of strings in qs and its engine."""
    for module in pkgutil.walk_packages(qs.__path__, "qs."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    pending = [str]
    kinds: set[type[Enum]] = set()
    while pending:
        for kind in pending.pop().__subclasses__():
            pending.append(kind)
            if issubclass(kind, Enum) and kind.__module__.split(".")[0] == "qs":
                kinds.add(kind)
    ordered = sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__))
    return [member for kind in ordered for member in kind]


WORDS = words()


def test_every_enum_of_strings_is_looked_at() -> None:
    kinds = {f"{type(word).__module__}.{type(word).__name__}" for word in WORDS}
    assert kinds >= {
        "qs.engine.outcome.Ending",
        "qs.engine.outcome.ErrorKind",
        "qs.result.result.Status",
        "qs.result.verdict.Verdict",
        "qs.settings.settings.Origin",
    }


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{type(word).__name__}.{word.name}")
def test_a_member_prints_as_its_value(word: Enum) -> None:
    value = word.value
    assert type(value) is str
    assert word == value
    assert hash(word) == hash(value)
    assert str(word) == f"{word}" == f"{word!s}" == "%s" % (word,) == value  # noqa: UP031
    assert f"{word:>40}" == f"{value:>40}"
    assert "{:.3}".format(word) == value[:3]  # noqa: UP032
    assert "".join([word]) == value


@pytest.mark.parametrize("word", WORDS, ids=lambda word: f"{type(word).__name__}.{word.name}")
def test_a_member_is_written_as_its_value_and_travels_as_itself(word: Enum) -> None:
    assert json.loads(json.dumps({word: word})) == {word.value: word.value}
    assert orjson.loads(orjson.dumps([word])) == [word.value]
    assert pickle.loads(pickle.dumps(word)) is word
    assert copy.deepcopy(word) is word
