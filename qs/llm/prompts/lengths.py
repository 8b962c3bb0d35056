"""Lengths in tokens as they are typed: "128", "uniform:64,512", "normal:512,64",
"lognormal:512,0.5", "histogram:FILE", each with bounds if wanted: "normal:512,64,min=16,max=1024".
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from qs.base import jsonc
from qs.base.errors import Fault, Faults, UserError
from qs.base.files import read_text
from qs.llm.prompt import is_number
from qs.llm.prompts.drawing import Stream, shares

LONGEST = 10_000_000  # tokens of one prompt or answer
ALLOWED = (
    "tokens: 128, uniform:FROM,TO, normal:MEAN,DEVIATION, lognormal:MEDIAN,SIGMA or "
    "histogram:FILE, each with ,min=TOKENS and ,max=TOKENS if wanted"
)
_NUMBERS = {"constant": 1, "uniform": 2, "normal": 2, "lognormal": 2}
MOST_BINS = 1_000_000


@dataclass(frozen=True)
class Lengths:
    """How lengths are distributed. What is drawn beyond a bound becomes the bound."""

    kind: str
    numbers: tuple[float, ...] = ()
    least: int = 1
    most: int = LONGEST
    file: str = ""
    # of a histogram: the lengths, rising, and how often each came
    bins: tuple[int, ...] = ()
    counts: tuple[float, ...] = ()

    def drawn(self, count: int, seed: int, stream: Stream) -> tuple[np.ndarray, int]:
        """int64[count], and how many of them had to be set to a bound."""
        even = shares(count, seed, stream)
        if self.kind == "constant":
            found = np.full(count, self.numbers[0])
        elif self.kind == "uniform":
            low, high = self.numbers
            found = low + np.floor(even * (high - low + 1))
        elif self.kind == "histogram":
            edges = np.cumsum(self.counts)
            found = np.asarray(self.bins, np.float64)[
                np.minimum(np.searchsorted(edges, even * edges[-1], "right"), len(self.bins) - 1)
            ]
        else:
            normal = NormalDist().inv_cdf
            standard = np.fromiter(map(normal, even.tolist()), np.float64, count)
            center, width = self.numbers
            with np.errstate(over="ignore"):
                found = (
                    center + width * standard
                    if self.kind == "normal"
                    else center * np.exp(width * standard)
                )
        whole = np.clip(np.rint(found), self.least, self.most)
        return whole.astype(np.int64), int(np.count_nonzero(whole != np.rint(found)))


def check_lengths(text: str) -> None:
    """Raises ValueError, which says what is allowed. Reads no file."""
    _parsed(text)


def read_lengths(text: str, flag: str) -> Lengths:
    """Of what was typed behind `flag`; reads the histogram. Raises UserError."""
    try:
        lengths = _parsed(text)
    except ValueError as error:
        raise Faults([Fault(flag, "", text, str(error))]) from None
    if lengths.kind != "histogram":
        return lengths
    bins, counts = _histogram(lengths.file)
    return Lengths("histogram", (), lengths.least, lengths.most, lengths.file, bins, counts)


def _parsed(text: str) -> Lengths:
    kind, found, rest = text.strip().partition(":")
    if not found:
        kind, rest = "constant", kind
    *parts, bounds = _without_bounds(rest)
    least, most = bounds
    if kind == "histogram":
        file = ",".join(parts)
        if not file:
            raise ValueError("histogram:FILE, with a file")
        return Lengths(kind, (), least, most, file)
    if kind not in _NUMBERS:
        raise ValueError(ALLOWED)
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError:
        raise ValueError(ALLOWED) from None
    if len(numbers) != _NUMBERS[kind] or not all(map(math.isfinite, numbers)):
        raise ValueError(ALLOWED)
    _check_numbers(kind, numbers)
    return Lengths(kind, numbers, least, most)


def _without_bounds(text: str) -> list:
    """The parts of a list with commas, and behind them (least, most)."""
    least, most = 1, LONGEST
    parts = text.split(",")
    while parts and (parts[-1].strip().startswith(("min=", "max="))):
        name, _, value = parts.pop().strip().partition("=")
        if not (value.isascii() and value.isdigit()) or not 1 <= int(value) <= LONGEST:
            raise ValueError(f"{name}= with whole tokens from 1 to {LONGEST:,}")
        if name == "min":
            least = int(value)
        else:
            most = int(value)
    if least > most:
        raise ValueError(f"min= at most max=, and they are {least} and {most}")
    return [*parts, (least, most)]


def _check_numbers(kind: str, numbers: tuple[float, ...]) -> None:
    first, second = numbers[0], numbers[-1]
    if kind in ("constant", "uniform"):
        if not all(each.is_integer() and 1 <= each <= LONGEST for each in numbers):
            raise ValueError(f"whole tokens from 1 to {LONGEST:,}")
        if first > second:
            raise ValueError("uniform:FROM,TO with FROM at most TO")
    elif not 0 < first <= LONGEST or not 0 <= second <= LONGEST:
        raise ValueError(
            f"{kind}: first above 0 and at most {LONGEST:,}, then how far they spread, at least 0"
        )
    elif kind == "lognormal" and second > 10:
        raise ValueError("lognormal:MEDIAN,SIGMA with SIGMA, of the logarithm, at most 10")


def _histogram(file: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Lengths, rising, and how often each came; of a CSV file or a JSON one."""
    text = read_text(Path(file).expanduser())
    pairs: list[tuple[str, object, object]] = []
    if text.lstrip().startswith(("{", "[")):
        value = jsonc.loads(text, file)
        if isinstance(value, dict):
            pairs = [(f"[{key}]", _number(key), count) for key, count in value.items()]
        elif isinstance(value, list):
            pairs = [(f"[{at}]", *_pair(each)) for at, each in enumerate(value)]
    else:
        rows = list(csv.reader(io.StringIO(text)))
        for line, row in enumerate(rows, 1):
            numbers = [_number(each) for each in row]
            if row and not (line == 1 and not any(map(is_number, numbers))):  # a header
                pairs.append((f"line {line}", *_pair(numbers)))
    return _checked(file, pairs)


def _pair(value: object) -> tuple[object, object]:
    if isinstance(value, dict):
        return value.get("tokens"), value.get("count")
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    return None, None


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _checked(
    file: str, pairs: list[tuple[str, object, object]]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    faults: list[Fault] = []
    found: dict[int, float] = {}
    for place, tokens, count in pairs:
        whole = is_number(tokens) and float(tokens).is_integer()  # type: ignore[arg-type]
        if not whole or not 1 <= tokens <= LONGEST:  # type: ignore[operator]
            allowed = f"whole tokens from 1 to {LONGEST:,}, and a count"
            faults.append(Fault(file, f"{place} tokens", tokens, allowed))
        elif not is_number(count) or not 0 <= count <= 1e15:  # type: ignore[operator]
            faults.append(Fault(file, f"{place} count", count, "a number, at least 0"))
        else:
            found[int(tokens)] = found.get(int(tokens), 0.0) + float(count)  # type: ignore
    if faults:
        raise Faults(faults)
    if len(found) > MOST_BINS:
        raise UserError(f"{file}: has {len(found):,} lengths; allowed: at most {MOST_BINS:,}")
    if not sum(found.values()):
        raise UserError(
            f"{file}: has no lengths; allowed: lines of tokens,count, or JSON: "
            '{"128": 3}, [[128, 3]] or [{"tokens": 128, "count": 3}]'
        )
    bins = sorted(bin for bin, count in found.items() if count)
    return tuple(bins), tuple(found[bin] for bin in bins)
