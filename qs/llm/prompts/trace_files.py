"""Traces: when requests came and how many tokens they had, as four public formats write them.

Mooncake   JSON lines: timestamp in ms, input_length, output_length, hash_ids: numbers of the blocks
           of 512 tokens that the prompt is made of; equal numbers are equal texts
           (github.com/kvcache-ai/Mooncake, FAST25-release)
BurstGPT   CSV: Timestamp in s, Model, Request tokens, Response tokens, Total tokens, Log Type, and
           in later files Session ID and Elapsed time (github.com/HPMLL/BurstGPT)
Azure      CSV: TIMESTAMP as date and time, ContextTokens, GeneratedTokens
           (github.com/Azure/AzurePublicDataset, LLM inference traces of 2023 and 2024)
CSV        timestamp in s, input, output: with a header, or without in this order

Left out: texts, which none of them has (qs.llm.prompts.traced).
"""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import numpy as np

from qs.base import bounds, jsonc
from qs.base.errors import UserError
from qs.base.words import counted
from qs.llm.prompt import is_number
from qs.llm.prompts.lengths import LONGEST
from qs.llm.prompts.reading import Faulty, lines_of

MOST_ROWS = 1_000_000  # where nobody says how many
BLOCK = 512  # tokens of a block of Mooncake's
_MOST_ID = 2**63 - 1
# Names of columns, in small letters with _ between words. Seconds, or what they are multiplied by.
_TIMES = {
    **dict.fromkeys(("timestamp", "timestamp_s", "time", "time_s", "arrival", "arrival_s"), 1.0),
    **dict.fromkeys(("arrival_time", "arrived_at", "due_s"), 1.0),
    **dict.fromkeys(("timestamp_ms", "time_ms", "arrival_ms"), 1e-3),
}
_INPUTS = (
    *("input", "input_tokens", "input_length", "prompt_tokens", "request_tokens"),
    *("contexttokens", "context_tokens"),
)
_OUTPUTS = (
    *("output", "output_tokens", "output_length", "completion_tokens", "response_tokens"),
    *("generatedtokens", "generated_tokens"),
)
_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?(Z|[+-]\d\d:?\d\d)?"
)


@dataclass
class Trace:
    """Requests in order of arrival. Times in seconds from the first, lengths in tokens."""

    due_s: np.ndarray
    inputs: np.ndarray
    outputs: np.ndarray
    # Mooncake's block numbers of all requests in a row, and where each one's begin; None: no trace
    # of blocks
    blocks: np.ndarray | None = None
    starts: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.inputs)


def read_trace(path: str, format: str, most: int | None) -> Trace:
    """The first `most` requests of a file. UserError: everything that is wrong, up to a bound."""
    rows = _Rows(path, most)
    if format == "mooncake":
        _read_mooncake(path, rows)
    else:
        _read_csv(path, format, rows)
    return rows.trace()


class _Rows:
    """Collects requests as they stand in the file."""

    def __init__(self, path: str, most: int | None) -> None:
        self.path = path
        self.faulty = Faulty(path)
        self._bounded = most is None
        self._most = MOST_ROWS if most is None else most
        self._due, self._inputs, self._outputs = array("d"), array("q"), array("q")
        self._blocks, self._counts = array("q"), array("q")
        self._without = self._spare = 0
        self.full = self._cut = False

    def add(self, line: int, due_s: object, tokens: Sequence[object], names: Sequence[str]) -> bool:
        """One request: (input, output) tokens under those names. Whether it was taken."""
        say = self.faulty.at(line)
        right = is_number(due_s)
        if not right:
            say("time", due_s, "seconds, ms or date and time, as the format has it")
        for value, name in zip(tokens, names, strict=True):
            whole = is_number(value) and float(value).is_integer()  # type: ignore[arg-type]
            if not whole or not 0 <= value <= LONGEST:  # type: ignore[operator]
                say(name, value, f"whole tokens from 0 to {LONGEST:,}")
                right = False
        if not right:
            return False
        if not all(tokens):
            self._without += 1
            return False
        if len(self._due) >= self._most:
            self.full, self._cut = True, self._bounded
            return False
        self._due.append(due_s)  # type: ignore[arg-type]
        self._inputs.append(int(tokens[0]))  # type: ignore[call-overload]
        self._outputs.append(int(tokens[1]))  # type: ignore[call-overload]
        return True

    def add_blocks(self, blocks: Sequence[int]) -> None:
        """Those of the request that was added last; more than it has tokens for are left out."""
        needed = -(-self._inputs[-1] // BLOCK)
        self._spare += max(len(blocks) - needed, 0)
        self._blocks.extend(blocks[:needed])
        self._counts.append(min(len(blocks), needed))

    def trace(self) -> Trace:
        self.faulty.check()
        if not self._due:
            raise UserError(f"{self.path}: has no requests with tokens in and out")
        due = np.frombuffer(self._due, np.float64)
        notes = []
        span_s = float(due.max()) - float(due.min())
        if not span_s <= bounds.SECONDS:
            raise UserError(
                f"{self.path}: the last request comes {span_s:g} s after the first; allowed: at "
                f"most {bounds.SECONDS:,.0f} s (is its unit another than the format's?)"
            )
        order = np.argsort(due, kind="stable")
        late = int(np.count_nonzero(due[1:] < due[:-1]))
        if late:
            notes.append(
                f"{counted(late, 'request')} of the trace came before the one above: it was sorted"
            )
        if self._without:
            notes.append(
                f"{counted(self._without, 'request')} of the trace had no tokens in or none out, "
                "and were left out"
            )
        if self._cut:
            notes.append(
                f"the trace is cut after {self._most:,} requests; --prompt_count takes more of it"
            )
        if self._spare:
            notes.append(
                f"{counted(self._spare, 'block')} of the trace lay beyond their prompts' ends, and "
                "were left out"
            )
        trace = Trace(
            due[order] - due[order[0]],
            np.frombuffer(self._inputs, np.int64)[order],
            np.frombuffer(self._outputs, np.int64)[order],
            notes=notes,
        )
        if self._counts:
            _set_blocks(trace, self._blocks, self._counts, order)
        return trace


def _set_blocks(trace: Trace, blocks: array, counts: array, order: np.ndarray) -> None:
    lengths = np.frombuffer(counts, np.int64)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    listed = np.frombuffer(blocks, np.int64) if len(blocks) else np.zeros(0, np.int64)
    # Numbered from 0 in the order of their ids, however large these are.
    _, dense = np.unique(listed, return_inverse=True)
    parts = [dense[starts[index] : ends[index]] for index in order.tolist()]
    trace.blocks = np.concatenate(parts).astype(np.int64)
    trace.starts = np.concatenate([[0], np.cumsum(lengths[order])]).astype(np.int64)


def _read_mooncake(path: str, rows: _Rows) -> None:
    names = ("input_length", "output_length")
    for number, text in lines_of(path):
        if rows.full:
            return
        say = rows.faulty.at(number)
        place = f"{path}: line {number}"
        try:
            value = jsonc.line(text, place)
        except UserError as error:
            say("", text[:60], f"JSON; {str(error).removeprefix(f'{place}: ')}")
            continue
        if not isinstance(value, dict):
            say("", text[:60], "an object with timestamp, input_length and output_length")
            continue
        blocks = value.get("hash_ids", [])
        if not isinstance(blocks, list) or not all(
            type(each) is int and abs(each) <= _MOST_ID for each in blocks
        ):
            say("hash_ids", blocks, "a list of whole numbers")
            continue
        at = value.get("timestamp")
        due_s = at / 1000 if is_number(at) else at  # type: ignore[operator]
        if rows.add(number, due_s, [value.get(name) for name in names], names):
            rows.add_blocks(blocks)


@dataclass(frozen=True)
class _Columns:
    """Where a CSV file has what, and how its times are read."""

    time: int
    input: int
    output: int
    names: tuple[str, str]
    seconds: Callable[[str], object]


def _read_csv(path: str, format: str, rows: _Rows) -> None:
    lines = _Texts(path)
    reader = csv.reader(lines)
    columns: _Columns | None = None
    while not rows.full:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(f"{path}: line {lines.number}: {error}") from None
        if columns is None:
            columns = columns_of(cells, format)
            if columns is None:
                raise UserError(
                    f"{path}: line {lines.number}: the columns are {', '.join(cells)[:200]}; "
                    f"allowed: {_ALLOWED[format]}"
                )
            if not is_number(_number(cells[columns.input])):
                continue  # a header
        if not any(cells):
            continue
        if len(cells) <= max(columns.time, columns.input, columns.output):
            most = max(columns.time, columns.input, columns.output) + 1
            rows.faulty.add(f"line {lines.number}", ",".join(cells)[:60], f"{most} columns")
            continue
        tokens = [_number(cells[columns.input]), _number(cells[columns.output])]
        rows.add(lines.number, columns.seconds(cells[columns.time]), tokens, columns.names)


_ALLOWED = {
    "csv": "timestamp,input,output, with such a header or in this order",
    "burstgpt": "Timestamp, Request tokens and Response tokens among others",
    "azure": "TIMESTAMP, ContextTokens and GeneratedTokens",
}


def columns_of(cells: Sequence[str], format: str) -> _Columns | None:
    """Of the first line of a file, a header or numbers; None if it is not of that format."""
    names = [re.sub(r"[\s_-]+", "_", cell.strip().lower()) for cell in cells]
    found = {
        what: next((index for index, name in enumerate(names) if name in known), None)
        for what, known in (("time", _TIMES), ("input", _INPUTS), ("output", _OUTPUTS))
    }
    time, input_, output = found["time"], found["input"], found["output"]
    if time is not None and input_ is not None and output is not None:
        kind = _kind(names[input_])
        if format not in ("auto", kind, "csv"):
            return None
        scale = _TIMES[names[time]]
        shown = (cells[input_].strip(), cells[output].strip())
        return _Columns(time, input_, output, shown, lambda text: seconds_of(text, scale))
    numbers = [seconds_of(cell, 1.0) for cell in cells]
    if format in ("auto", "csv") and len(cells) >= 3 and all(map(is_number, numbers[:3])):
        return _Columns(0, 1, 2, ("input", "output"), lambda text: seconds_of(text, 1.0))
    return None


def kind_of(cells: Sequence[str]) -> str | None:
    """Which format a first line is of: "burstgpt", "azure" or "csv"; None: of none."""
    columns = columns_of(cells, "auto")
    return None if columns is None else _kind(columns.names[0].lower().replace(" ", "_"))


def _kind(name: str) -> str:
    return {"request_tokens": "burstgpt", "contexttokens": "azure"}.get(name, "csv")


def seconds_of(text: str, scale: float) -> object:
    """A number times `scale`, or a date and time in seconds since 1970; else the text as it is."""
    number = _number(text)
    if is_number(number):
        return number * scale  # type: ignore[operator]
    date = _DATE.fullmatch(text.strip())
    if date is None:
        return text
    *whole, part, zone = date.groups()
    try:
        at = datetime(*map(int, whole), tzinfo=timezone.utc)  # type: ignore[arg-type, misc]
    except ValueError:
        return text
    # Parts of a second apart: Azure writes seven digits, one more than a datetime holds.
    seconds = (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(seconds=1)
    seconds += float(f"0.{part}") if part else 0.0
    return seconds - _offset_s(zone)


def _offset_s(zone: str | None) -> float:
    if zone is None or zone == "Z":
        return 0.0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def _number(text: str) -> object:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


class _Texts:
    """The lines of a file, and the number of the one that was read last."""

    def __init__(self, path: str) -> None:
        self._lines = lines_of(path)
        self.number = 0

    def __iter__(self) -> _Texts:
        return self

    def __next__(self) -> str:
        self.number, text = next(self._lines)
        return f"{text}\n"
