"""Tables: a CSV file whose columns are inputs and the label."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import read_text
from qs.contract.labelled_items import listed
from qs.contract.reading import csv_rows, text_lines
from qs.contract.table_items import read_columns
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

SUFFIXES = (".csv", ".tsv")
DELIMITERS = ",;\t|"
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
MOST_VALUES = 10_000  # of a column of text; more are names of items, not categories


def delimiter_of(path: Path) -> str:
    """What is between the cells, by the header."""
    header = next((line for _, line in text_lines(path) if line.strip()), "")
    try:
        return csv.Sniffer().sniff(header, DELIMITERS).delimiter
    except csv.Error:
        return max(DELIMITERS, key=header.count)


def plan_table(asked: Asked, model: Described) -> Plan:
    """What TableItems states of such a file. Faults where columns and inputs do not go together."""
    assert asked.data is not None
    plan = Plan("TableItems")
    delimiter = asked.delimiter or delimiter_of(asked.data)
    header = next(csv_rows(asked.data, delimiter), (0, []))[1]
    if not header:
        raise UserError(
            f"{asked.data}: is empty; allowed: a line with the columns' names, and rows"
        )
    label = _label(asked, plan, header)
    features = [name for name in header if name != label]
    cells, _ = read_columns(asked.data, features, delimiter)
    decimal = "." if delimiter == "," or not _has_decimal_commas(cells) else ","
    texts = [name for name in features if not _are_numbers(cells[name], decimal)]
    inputs = {name: list(columns) for name, columns in asked.columns.items()}
    inputs = inputs or _inputs(asked, plan, model, features, texts)
    _check(asked, model, inputs, header)
    plan.keys["DATA"] = Key(plan.place(asked.data), "its first line names the columns")
    plan.keys["DELIMITER"] = Key(delimiter)
    plan.keys["DECIMAL"] = Key(decimal)
    plan.keys["LABEL"] = Key(label, "the column of the label")
    plan.has_labels = label is not None
    plan.keys["INPUTS"] = Key(inputs, "input: its columns, in order")
    _codes(asked, plan, model, inputs, texts, cells)
    mean, std = _scaling(asked, features)
    plan.keys["MEAN"] = Key(mean, "column of numbers: what is subtracted first")
    plan.keys["STD"] = Key(std, "column of numbers: what that is then divided by")
    plan.keys["MISSING"] = Key(asked.missing, "what an empty cell is; None: they are refused")
    classes_key(asked, plan)
    for name, columns in inputs.items():
        if model.is_open(name) and len(model.item_shape(name)) == 1:
            plan.shapes[name] = model.whole_shape(name, [len(columns)])
    if asked.scaling is None and any(each["type"].startswith("FLOAT") for each in model.inputs):
        plan.guesses.append(Guess("numbers are fed as they are", "--scaling"))
    return plan


def _scaling(asked: Asked, features: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """(mean, std) of columns, from a file. Faults for other contents."""
    if asked.scaling is None:
        return {}, {}
    path = existing("--scaling", asked.scaling)
    try:
        stated = json.loads(read_text(path))
        found = {key: dict(stated.get(key, {})) for key in ("mean", "std")}
        right = all(
            name in features
            and isinstance(value, (int, float))
            and math.isfinite(value)
            and (key == "mean" or value > 0)
            for key, values in found.items()
            for name, value in values.items()
        )
    except (ValueError, AttributeError, TypeError, RecursionError):
        right = False
    if not right:
        allowed = (
            '{"mean": {column: number}, "std": {column: number above 0}}, of columns of --data'
        )
        raise fault("--scaling", path, allowed)
    return found["mean"], found["std"]


def _label(asked: Asked, plan: Plan, header: Sequence[str]) -> str | None:
    if asked.labels is not None:
        if asked.labels not in header:
            raise fault("--labels", asked.labels, f"a column: {listed(header)}")
        return asked.labels
    found = next((name for name in LABEL_NAMES if name in header), None)
    if found is None and len(header) > 1:
        found = header[-1]
        plan.guesses.append(Guess(f"the label is the last column, {found}", "--labels"))
    return found


def _inputs(
    asked: Asked, plan: Plan, model: Described, features: list[str], texts: list[str]
) -> dict[str, list[str]]:
    """Input -> columns: of their name; else all; else those of text and of numbers apart."""
    names = model.names
    if all(name in features for name in names) and all(
        math.prod(model.item_shape(name)) == 1 for name in names
    ):
        return {name: [name] for name in names}
    if len(names) == 1:
        return {names[0]: features}
    kinds = {each["name"]: not each["type"].startswith("FLOAT") for each in model.inputs}
    if len(names) == 2 and len(set(kinds.values())) == 2:
        numbers = [name for name in features if name not in texts]
        plan.guesses.append(
            Guess("columns of text feed the input of integers, numbers that of floats", "--columns")
        )
        return {name: texts if kinds[name] else numbers for name in names}
    raise fault("--columns", "missing", f"{names[0]}=a,b,c for each of {listed(names)}")


def _check(
    asked: Asked, model: Described, inputs: dict[str, list[str]], header: Sequence[str]
) -> None:
    for name, columns in inputs.items():
        if name not in model.names:
            raise fault("--columns", name, f"an input: {listed(model.names)}")
        strange = [each for each in columns if each not in header]
        if strange:
            raise fault("--columns", f"{name}={strange[0]}", f"columns: {listed(header)}")
        size = math.prod(model.item_shape(name))
        if not model.is_open(name) and len(columns) != size:
            allowed = f"{size} columns for {name}, such as --columns {name}=a,b,c"
            raise fault("--columns", ",".join(columns)[:60], allowed, f"these are {len(columns)}")


def _codes(
    asked: Asked,
    plan: Plan,
    model: Described,
    inputs: dict[str, list[str]],
    texts: Sequence[str],
    cells: dict[str, list[str]],
) -> None:
    says = "column of text: its values in the order of their codes, or a JSON file with that"
    if asked.codes is not None:
        plan.keys["CODES"] = Key(plan.place(existing("--codes", asked.codes)), says)
        return
    strings = {each["name"] for each in model.inputs if each["type"] == "STRING"}
    coded = [
        name
        for each, columns in inputs.items()
        if each not in strings
        for name in columns
        if name in texts
    ]
    made = {name: sorted(set(cells[name])) for name in coded}
    for name, values in made.items():
        if len(values) > MOST_VALUES:
            allowed = "numbers, or a column with fewer values"
            raise fault("--columns", name, allowed, f"it has {len(values):,} texts")
    if not made:
        plan.keys["CODES"] = Key({}, says)
        return
    plan.keys["CODES"] = Key("codes.json", says)
    plan.files["codes.json"] = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    plan.guesses.append(Guess(f"the texts of {listed(coded)} are numbered as sorted", "--codes"))


def _are_numbers(cells: Sequence[str], decimal: str) -> bool:
    return all(_number(cell, decimal) is not None for cell in cells if cell)


def _number(cell: str, decimal: str) -> Any:
    try:
        return float(cell.replace(".", "").replace(",", ".") if decimal == "," else cell)
    except ValueError:
        return None


def _has_decimal_commas(cells: dict[str, list[str]]) -> bool:
    return any(_DECIMAL_COMMA.fullmatch(cell) for column in cells.values() for cell in column[:100])
