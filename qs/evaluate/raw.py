"""`--raw FILE`: a row for every request that was issued, of all cases of a run, to be analysed
elsewhere: CSV, Parquet, or numpy's .npz.

Of a language model there is a column for each measure that some request has, and of a run over
several machines one for the node that made it. The rows stay in
memory until the run ends, 29 bytes for each request and 8 for each measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from qs.base.errors import Fault, Faults
from qs.base.files import check_writable, replacing
from qs.engine import Measure
from qs.render.table import check_parquet

FLAG = "--raw"
SUFFIXES = (".csv", ".npz", ".parquet")
OUTCOMES = ("completed", "failed", "timeout")  # as the engine numbers them
TIMES = ("due_ns", "issued_ns", "completed_ns")
NODE = "node"
COLUMNS = ("case", "batch_size", "worker", *TIMES, "outcome")
_LINES = 1 << 16  # are written at once

Columns = Mapping[str, np.ndarray]


class RawRequests:
    """The rows of one run, in the order of its cases and within each of completion.

    Columns: `case` (its name), `batch_size`, `worker`, `due_ns`, `issued_ns` and `completed_ns` (ns
    from the start of the case's measured phase; in closed loop a request is due when it is issued)
    and `outcome` (completed, failed, timeout). A .npz file has the numbers of `case` and `outcome`,
    and their names in `cases` and `outcomes`. Over nodes there is `node` after `worker`, its name;
    in a .npz file its number, and the names in `nodes`. Then the measures: times in ns (`ttft_ns`),
    tokens, and rates in tokens/s. One that a request does not have is an empty cell, null in
    Parquet, and in a .npz file -1, or NaN for a rate.
    """

    def __init__(self, path: Path):
        """Raises UserError for another suffix, a place that cannot be written to, or Parquet
        without pyarrow.
        """
        if path.suffix.lower() not in SUFFIXES:
            allowed = f"a name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
            raise Faults([Fault(FLAG, "", str(path), allowed)])
        if path.suffix.lower() == ".parquet":
            check_parquet()
        if path.is_dir():
            raise Faults([Fault(FLAG, "", str(path), "a file, not a folder")])
        check_writable(path.absolute().parent, FLAG)
        self.path = path.absolute()
        self._cases: list[tuple[str, int, Columns]] = []
        self._nodes: list[str] = []  # of all cases
        self._measures: dict[str, Measure] = {}

    def add(
        self,
        case: str,
        batch_size: int,
        columns: Columns | None,
        measures: Iterable[Measure] = (),
        nodes: Sequence[str] = (),
    ) -> None:
        """Keep the requests of a case, with the columns of these measures; over nodes with their
        names, of which column `node` has the numbers.
        """
        if columns is None:
            return
        if nodes and NODE in columns:
            columns = {**columns, NODE: self._numbered(nodes)[columns[NODE]]}
        self._cases.append((case, batch_size, columns))
        for measure in measures:
            if measure.name in columns and (columns[measure.name] >= 0).any():
                self._measures[measure.name] = measure

    def _numbered(self, nodes: Sequence[str]) -> np.ndarray:
        """The number that each node of a case has in the file."""
        self._nodes += [name for name in nodes if name not in self._nodes]
        return np.array([self._nodes.index(name) for name in nodes], np.int32)

    @property
    def _columns(self) -> list[str]:
        """Names of all but the measures."""
        return [*COLUMNS[:3], *([NODE] if self._nodes else []), *COLUMNS[3:]]

    def write(self) -> None:
        """Write all rows; nothing if no case was measured. Raises Unwritable."""
        if not self._cases:
            return
        write = {".csv": self._csv, ".npz": self._npz, ".parquet": self._parquet}
        with replacing(self.path, durable=False) as file:
            write[self.path.suffix.lower()](file)

    def _csv(self, file: BinaryIO) -> None:
        measures = list(self._measures.values())
        file.write(",".join([*self._columns, *map(column_of, measures)]).encode() + b"\n")
        names = list(map(_cell, self._nodes))
        for name, batch_size, columns in self._cases:
            node = ",%s" if names else ""
            line = f"{name},{batch_size},%d{node},%d,%d,%d,%s{',%s' * len(measures)}\n"
            for part in _parts(columns):
                numbers: list[list[Any]] = [part[key].tolist() for key in ("worker", *TIMES)]
                if names:
                    numbers.insert(1, [names[each] for each in part[NODE].tolist()])
                outcomes = [OUTCOMES[each] for each in part["outcome"].tolist()]
                told = [_texts(_values(part, measure)) for measure in measures]
                rows = zip(*numbers, outcomes, *told)
                file.write("".join([line % row for row in rows]).encode())

    def _npz(self, file: BinaryIO) -> None:
        whole: dict[str, Any] = {
            key: np.concatenate([columns[key] for *_, columns in self._cases])
            for key in ("worker", *([NODE] if self._nodes else []), *TIMES, "outcome")
        }
        if self._nodes:
            whole["nodes"] = np.array(self._nodes)
        for measure in self._measures.values():
            told = [_values(columns, measure) for *_, columns in self._cases]
            whole[column_of(measure)] = np.concatenate(told)
        sizes = [columns["outcome"].size for *_, columns in self._cases]
        whole["case"] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        whole["batch_size"] = np.repeat(self._batch_sizes(), sizes)
        np.savez(file, **whole, cases=np.array(self._names()), outcomes=np.array(OUTCOMES))

    def _parquet(self, file: BinaryIO) -> None:
        import pyarrow
        from pyarrow import parquet

        words = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
        types = [words, *[pyarrow.int64()] * (len(COLUMNS) - 2), words]
        if self._nodes:
            types.insert(3, words)
        measures = list(self._measures.values())
        names = [*self._columns, *map(column_of, measures)]
        types += [pyarrow.int64() if each.scale == 1 else pyarrow.float64() for each in measures]
        schema = pyarrow.schema(list(zip(names, types)))
        with parquet.ParquetWriter(file, schema) as writer:
            for number, (_, batch_size, columns) in enumerate(self._cases):
                size = columns["outcome"].size
                case, outcome = np.full(size, number, np.int32), columns["outcome"]
                arrays = [
                    _named(case, self._names()),
                    np.full(size, batch_size, np.int64),
                    columns["worker"].astype(np.int64),
                    *([_named(columns[NODE], self._nodes)] if self._nodes else []),
                    *(columns[key].astype(np.int64) for key in TIMES),
                    _named(outcome.astype(np.int32), OUTCOMES),
                    *(_nullable(_values(columns, each)) for each in measures),
                ]
                writer.write_table(pyarrow.table(arrays, schema=schema))

    def _names(self) -> list[str]:
        return [name for name, *_ in self._cases]

    def _batch_sizes(self) -> list[int]:
        return [batch_size for _, batch_size, _ in self._cases]


def _parts(columns: Columns) -> Iterator[Columns]:
    for at in range(0, columns["outcome"].size, _LINES):
        yield {key: column[at : at + _LINES] for key, column in columns.items()}


def _cell(name: str) -> str:
    """A node's name in a cell of a CSV file."""
    return '"' + name.replace('"', '""') + '"' if set(name) & set(',"\n\r') else name


def column_of(measure: Measure) -> str:
    """What its column is called."""
    return f"{measure.name}_ns" if measure.unit == "ns" else measure.name


def _values(columns: Columns, measure: Measure) -> np.ndarray:
    """Whole numbers and -1 where there is none; a rate in its unit, and NaN."""
    found = columns.get(measure.name)
    if found is None:
        found = np.full(columns["outcome"].size, -1, np.int64)
    if measure.scale == 1:
        return found
    return np.where(found >= 0, found / measure.scale, np.nan)


def _texts(values: np.ndarray) -> list[str]:
    return [str(value) if value >= 0 else "" for value in values.tolist()]


def _nullable(values: np.ndarray) -> Any:
    import pyarrow

    return pyarrow.array(values, mask=~(values >= 0))


def _named(numbers: np.ndarray, names: Sequence[str]) -> Any:
    import pyarrow

    return pyarrow.DictionaryArray.from_arrays(numbers, list(names))
