"""Texts: a JSON object a line, and the model's tokenizer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.contract.text_items import TABLES, records
from qs.scaffold.data.plan import (
    LABEL_NAMES,
    Asked,
    Described,
    Guess,
    Key,
    Plan,
    classes_key,
    existing,
    fault,
)
from qs.scaffold.data.tables import delimiter_of

SUFFIXES = (".jsonl", ".ndjson")
TEXTS = ("text", "sentence", "sentence1", "text1", "text_a", "premise", "question", "content")
PAIRS = ("sentence2", "text2", "text_b", "hypothesis", "pair")
TOKENIZERS = ("tokenizer.json", "vocab.txt")


def plan_texts(asked: Asked, model: Described) -> Plan:
    """What TextItems states of such a file. UserError if its first line is none."""
    assert asked.data is not None
    plan = Plan("TextItems")
    table = asked.data.suffix.lower() in TABLES
    delimiter = (asked.delimiter or delimiter_of(asked.data)) if table else ","
    first = _first(asked.data, delimiter)
    says = "its columns are the keys" if table else "a JSON object a line"
    plan.keys["DATA"] = Key(plan.place(asked.data), says)
    if table:
        plan.keys["DELIMITER"] = Key(delimiter)
    for key, stated, flag, usual in (
        ("TEXT", asked.text, "--text", TEXTS),
        ("PAIR", asked.pair, "--pair", PAIRS),
        ("LABEL", asked.labels, "--labels", LABEL_NAMES),
    ):
        found = stated or next((name for name in usual if name in first), None)
        if found is not None and found not in first or (found is None and key == "TEXT"):
            allowed = f"a key of the first line: {', '.join(first)}"
            raise fault(flag, stated or "missing", allowed)
        if stated is None and found is not None and found != usual[0]:
            plan.guesses.append(Guess(f"{key.lower()}: the key {found}", flag))
        plan.keys[key] = Key(found)
    plan.has_labels = plan.keys["LABEL"].value is not None
    roles = {name: role_of(name, model) for name in model.names}
    _tokenizer(asked, plan, roles)
    plan.keys["INPUTS"] = Key(roles, "input: ids, mask, segments, positions or text")
    unsure = [name for name, role in roles.items() if role == "ids"]
    if len(unsure) > 1:
        plan.guesses.append(Guess(f"{', '.join(unsure)} take token ids", "INPUTS"))
    classes_key(asked, plan)
    _length(asked, plan, model, roles)
    return plan


def role_of(name: str, model: Described) -> str:
    """What an input takes, by its name and type."""
    kind = next(each for each in model.inputs if each["name"] == name)["type"]
    low = name.lower()
    if kind == "STRING":
        return "text"
    if "mask" in low:
        return "mask"
    if "segment" in low or "token_type" in low:
        return "segments"
    return "positions" if "position" in low else "ids"


def takes_tokens(model: Described) -> bool:
    """Whether an input is called as those of token ids are."""
    return any(re.search(r"input_ids|tokens?(_ids)?$|attention_mask", name) for name in model.names)


def _first(path: Path, delimiter: str) -> dict[str, Any]:
    found = next(records(path, delimiter), None)
    if found is None:
        raise UserError(f"{path}: there are no items in it")
    return found[1]


def _tokenizer(asked: Asked, plan: Plan, roles: dict[str, str]) -> None:
    if set(roles.values()) == {"text"}:
        plan.keys["TOKENIZER"] = Key(None, "the model takes the text itself")
        return
    assert asked.data is not None
    path = asked.tokenizer
    if path is None:
        places = [asked.model.absolute().parent, asked.data.absolute().parent]
        found = (place / name for name in TOKENIZERS for place in places)
        path = next((each for each in found if each.is_file()), None)
        if path is None:
            raise fault("--tokenizer", "missing", "the model's tokenizer.json, or its vocab.txt")
        plan.guesses.append(Guess(f"the tokenizer is {path}", "--tokenizer"))
    path = existing("--tokenizer", path)
    plan.keys["TOKENIZER"] = Key(plan.place(path), "tokenizer.json or vocab.txt")
    if path.suffix != ".json":
        plan.keys["LOWER_CASE"] = Key(not asked.cased, "whether the vocabulary is uncased")
        if not asked.cased:
            plan.guesses.append(Guess("the vocabulary is uncased", "--cased"))


def _length(asked: Asked, plan: Plan, model: Described, roles: dict[str, str]) -> None:
    for name, role in roles.items():
        item = model.item_shape(name)
        if role == "text" or len(item) != 1:
            continue
        if asked.length is not None:
            plan.shapes[name] = model.whole_shape(name, [asked.length])
        elif model.is_open(name) and name not in asked.shapes:
            plan.shapes[name] = model.whole_shape(name, item)
    if plan.shapes and asked.length is None:
        length = max(max(shape) for shape in plan.shapes.values())
        plan.guesses.append(Guess(f"texts are cut or padded to {length} tokens", "--length"))
