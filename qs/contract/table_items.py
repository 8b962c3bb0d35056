"""A data set in a table: a CSV file whose columns are the model's inputs and the label."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.contract.array_items import item_shape
from qs.contract.labelled_items import LabelledItems, listed
from qs.contract.reading import csv_rows
from qs.tensors.casting import Bent, cast


class TableItems(LabelledItems):
    """A row an item. A subclass states the attributes that differ."""

    DATA = "items.csv"
    """The CSV file; its first line names the columns."""
    DELIMITER = ","
    """What is between its cells."""
    DECIMAL = "."
    """What is before the decimals of a number."""
    LABEL: str | None = "label"
    """The column of the label; None: there is none."""
    INPUTS: Mapping[str, Sequence[str]] = {}
    """Input of the model -> its columns, in order."""
    CODES: Mapping[str, Sequence[str]] | str = {}
    """Column of text -> its values in the order of their codes, which begin at 0; or a JSON file
    with that."""
    MEAN: Mapping[str, float] = {}
    """Column of numbers -> what is subtracted first."""
    STD: Mapping[str, float] = {}
    """Column of numbers -> what that is then divided by."""
    MISSING: float | None = None
    """What an empty cell of a column of numbers is; None: empty cells are refused."""

    def preprocess(self) -> None:
        file = self.place(self.DATA, "DATA")
        self._texts = {spec.name for spec in self.specs() if spec.dtype.kind == "U"}
        self._check_inputs()
        self.codes = self._codes()
        columns = [name for names in self.INPUTS.values() for name in names]
        wanted = list(dict.fromkeys([*columns, *([self.LABEL] if self.LABEL else [])]))
        cells, lines = read_columns(file, wanted, self.DELIMITER)
        texts = {name for each in self._texts for name in self.INPUTS[each]}
        self.columns: dict[str, Any] = {
            name: np.array(cells[name], dtype=np.str_)
            if name in texts
            else self._numbers(file, name, cells[name], lines)
            for name in dict.fromkeys(columns)
        }
        labels = list(map(self._label, cells[self.LABEL])) if self.LABEL else None
        self.take(len(lines), labels, f"{file}, column {self.LABEL}" if self.LABEL else str(file))

    def _check_inputs(self) -> None:
        for spec in self.specs():
            names, size = self.INPUTS.get(spec.name), math.prod(item_shape(spec))
            if names is None or len(names) != size:
                said = "no columns" if names is None else f"{len(names)} columns"
                raise UserError(
                    f"INPUTS has {said} for the input {spec.name}, whose items are "
                    f"{list(item_shape(spec))}: allowed: {size}"
                )
        strange = [name for name in self.INPUTS if name not in self.inputs()]
        if strange:
            raise UserError(f"INPUTS has {listed(strange)}; the model has {listed(self.inputs())}")

    def _codes(self) -> dict[str, dict[str, int]]:
        stated: Any = self.CODES
        where = "CODES"
        if isinstance(stated, str):
            path = self.place(stated, "CODES")
            where = str(path)
            try:
                stated = json.loads(path.read_text("utf-8-sig"))
            except (ValueError, OSError, RecursionError) as error:
                why = " ".join(str(error).split())
                raise UserError(f"{path}: cannot be read as JSON: {why}") from None
        if not isinstance(stated, Mapping) or not all(
            isinstance(values, (list, tuple)) for values in stated.values()
        ):
            raise UserError(f"{where}: allowed: column -> list of its values")
        return {
            name: {str(value): code for code, value in enumerate(values)}
            for name, values in stated.items()
        }

    def _numbers(
        self, file: Path, name: str, cells: Sequence[str], lines: Sequence[int]
    ) -> np.ndarray:
        """float64 [items]: codes of a column of text, otherwise its numbers."""
        codes = self.codes.get(name)
        found = np.empty(len(cells))
        for at, cell in enumerate(cells):
            value = codes.get(cell) if codes is not None else self._number(cell)
            if value is None:
                raise UserError(
                    f"{file}: line {lines[at]}: {name} is {cell!r}; {self._allowed(cell, codes)}"
                )
            found[at] = value
        if codes is None:
            found = (found - self.MEAN.get(name, 0.0)) / self.STD.get(name, 1.0)
        return found

    def _label(self, cell: str) -> str:
        """With the point that float() knows, if it is a number."""
        if self.DECIMAL == "." or not cell or self._number(cell) is None:
            return cell
        return self._plain(cell)

    def _plain(self, cell: str) -> str:
        return cell.replace(".", "").replace(self.DECIMAL, ".") if self.DECIMAL != "." else cell

    def _number(self, cell: str) -> float | None:
        if not cell:
            return self.MISSING
        try:
            value = float(self._plain(cell))
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def _allowed(self, cell: str, codes: Mapping[str, int] | None) -> str:
        if codes is None:
            hint = "state MISSING for empty cells" if not cell else "state CODES for text"
            return f"allowed: a number ({hint})"
        near = nearest(cell, codes)
        meant = f"; did you mean {near!r}?" if near else ""
        return f"allowed, as CODES says: {listed(list(codes))}{meant}"

    def feeds(self, items: Any) -> dict[str, np.ndarray]:
        feeds = {}
        for spec in self.specs():
            values = np.stack(
                [self.columns[name][items] for name in self.INPUTS[spec.name]], axis=1
            )
            try:
                values = cast(values, spec.dtype, spec.type)
            except Bent as error:
                names = listed(self.INPUTS[spec.name])
                raise UserError(
                    f"{self.DATA}: {names}: the input {spec.name} takes {error}"
                ) from None
            feeds[spec.name] = spec.joined(values.reshape(len(values), *spec.shape))
        return feeds


def read_columns(
    path: Path, wanted: Sequence[str], delimiter: str
) -> tuple[dict[str, list[str]], list[int]]:
    """(column -> its cells, the line of each row). UserError for a column that is not there."""
    rows = csv_rows(path, delimiter)
    _, header = next(rows, (0, []))
    for name in wanted:
        if name not in header:
            near = nearest(name, header)
            meant = f"; did you mean {near!r}?" if near else ""
            raise UserError(f"{path}: has no column {name!r}; it has {listed(header)}{meant}")
    places = {name: header.index(name) for name in wanted}
    cells: dict[str, list[str]] = {name: [] for name in wanted}
    lines = []
    for number, row in rows:
        lines.append(number)
        for name, at in places.items():
            cells[name].append(row[at])
    return cells, lines
