"""From a typed model to a JSON schema that accepts what the model's loader accepts.

pydantic provides the rules of single keys; aliases, other spellings and descriptions are added
here. qs.schema.published decides which models are published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import BaseModel

from qs.config.checking import Checkable

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def of_model(cls: type[BaseModel], inner: Sequence[type[Checkable]] = ()) -> Schema:
    """The schema of a model, with its keys' rules in words; `inner` are the models in it."""
    schema = cls.model_json_schema(by_alias=True, mode="validation")
    if issubclass(cls, Checkable):
        in_words(schema, cls.ALLOWED)
    for model in inner:
        in_words(schema["$defs"][model.__name__], model.ALLOWED)
    return schema


def in_words(schema: Schema, allowed: Mapping[str, str]) -> None:
    """Describe in words what the properties allow; editors show it."""
    for key, text in allowed.items():
        if key in schema.get("properties", {}):
            schema["properties"][key].setdefault("description", text)


def with_aliases(schema: Schema, aliases: Mapping[str, str]) -> None:
    """Accept other spellings of keys; any spelling of a required key will do."""
    properties, required = schema["properties"], schema.get("required", [])
    for alias, key in aliases.items():
        properties[alias] = {**deepcopy(properties[key]), "description": f"the same as {key}"}
        if key in required:
            required.remove(key)
            schema.setdefault("allOf", []).append(
                {"anyOf": [{"required": [key]}, {"required": [alias]}]}
            )


def closed(schema: Schema) -> None:
    """Refuse unknown keys, at every level."""
    for place in (schema, *schema.get("$defs", {}).values()):
        if "properties" in place:
            place["additionalProperties"] = False


def any_case(words: Sequence[str]) -> str:
    """A pattern for one of the words in any case: JSON schema's patterns have no flag for that."""
    return "|".join("".join(_both(letter) for letter in word) for word in words)


def _both(letter: str) -> str:
    return f"[{letter.upper()}{letter.lower()}]" if letter.isalpha() else letter


def one_line_or_list(word: str) -> Schema:
    """A comma-separated string of words, or a list of them; `word` is a pattern."""
    return {
        "anyOf": [
            {"type": "string", "pattern": rf"^\s*({word})\s*(,\s*({word})\s*)*$"},
            {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "pattern": rf"^\s*({word})\s*$"},
            },
        ]
    }
