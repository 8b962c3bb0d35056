"""Kinds of values that several commands take. Each refuses a wrong value in one sentence that says
what is allowed.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from qs.base import bounds

BEST = "best"
OFF = "off"
MOST_CPUS = 1_000_000  # of all instances together
UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Seconds(click.ParamType):
    """A positive span of time: 20, 20s, 500ms, 2m, 1h; converted to seconds."""

    name = "time"

    def convert(self, value, param, ctx) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        unit = next((u for u in ("ms", "s", "m", "h") if text.endswith(u)), "")
        try:
            seconds = float(text.removesuffix(unit)) * UNITS[unit or "s"]
        except ValueError:
            self.fail(
                f"{value!r} is not a time; write for example 20, 20s, 500ms or 2m.", param, ctx
            )
        if not seconds > 0:
            self.fail(f"{value!r} is not above zero.", param, ctx)
        if seconds > bounds.SECONDS:
            self.fail(f"{value!r} is more than {bounds.SECONDS:,.0f} s.", param, ctx)
        return seconds


class Telemetry(Seconds):
    """How often to read the machine's power: a time within bounds, or off (0)."""

    def convert(self, value, param, ctx) -> float:
        if str(value).strip().lower() == OFF:
            return 0.0
        seconds = super().convert(value, param, ctx)
        least_s, most_s = bounds.TELEMETRY_S
        if not (seconds == 0.0 or least_s <= seconds <= most_s):
            allowed = f"{OFF}, or a time from {least_s * 1000:g}ms to {most_s:g}s"
            self.fail(f"{value!r} is not allowed; {allowed}.", param, ctx)
        return seconds


class Tag(click.ParamType):
    """The name of a run in the history."""

    name = "tag"

    def convert(self, value, param, ctx) -> str:
        from qs.base.names import TAG, is_tag

        if not is_tag(str(value)):
            self.fail(f"{value!r} is not a valid tag; {TAG}.", param, ctx)
        return str(value)


class WholeNumbers(click.ParamType):
    """One or more whole numbers of at least 1, separated by commas: 1,4,8."""

    name = "N,..."

    def convert(self, value, param, ctx) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        numbers = []
        for part in str(value).split(","):
            try:
                number = int(part)
            except ValueError:
                self.fail(
                    f"{reprlib.repr(part.strip())} in {reprlib.repr(value)} is not a whole number; "
                    "write e.g. 1,4,8.",
                    param,
                    ctx,
                )
            if not 1 <= number <= bounds.BATCH:
                which = "below 1" if number < 1 else f"above {bounds.BATCH:,}"
                self.fail(f"{number} in {reprlib.repr(value)} is {which}.", param, ctx)
            numbers.append(number)
        if len(numbers) > bounds.CASES:
            self.fail(f"{len(numbers):,} numbers; at most {bounds.CASES:,} are run.", param, ctx)
        repeated = sorted(n for n, times in Counter(numbers).items() if times > 1)
        if repeated:
            self.fail(f"{value!r} names {repeated[0]} more than once.", param, ctx)
        return tuple(numbers)


class BatchSizes(click.ParamType):
    """Whole numbers, or "best"."""

    name = "N,..."

    def convert(self, value, param, ctx) -> tuple[int, ...] | str:
        best = isinstance(value, str) and value.strip().lower() == BEST
        return BEST if best else WholeNumbers().convert(value, param, ctx)


class Words(click.ParamType):
    """One or several of some words, with commas: thread,process."""

    name = "words"

    def __init__(self, allowed: Sequence[str]):
        self.allowed = tuple(allowed)

    def convert(self, value, param, ctx) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        found = tuple(part.strip() for part in str(value).split(","))
        for word in found:
            if word not in self.allowed:
                self.fail(
                    f"{word!r} in {value!r} is not one of {', '.join(self.allowed)}.", param, ctx
                )
        return tuple(dict.fromkeys(found))

    def get_metavar(self, param, ctx=None) -> str:
        return "[" + "|".join(self.allowed) + "],..."


class WarmUp(click.ParamType):
    """How much to warm up before measuring: iterations per client (3, 0) or a time (2s)."""

    name = "N|TIME"

    def convert(self, value, param, ctx) -> Any:
        from qs.config import qs_config

        if isinstance(value, qs_config.WarmUp):
            return value
        text = str(value).strip()
        count = whole_number(text)
        if count is not None and count > bounds.COUNT:
            self.fail(f"{reprlib.repr(value)} is above {bounds.COUNT:,} iterations.", param, ctx)
        if count is not None:
            return qs_config.WarmUp(iterations=count)
        if text[-1:].isalpha():
            return qs_config.WarmUp(seconds=Seconds().convert(text, param, ctx))
        self.fail(f"{value!r} is neither a count of iterations (3) nor a time (2s).", param, ctx)


class SharePercent(click.ParamType):
    """A part of a whole, above 0 and below 100 %: 1%, 0.5 %, or as a number 0.01."""

    name = "share"

    def convert(self, value, param, ctx) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = math.nan
        if not 0 < share < 1:
            self.fail(f"{value!r} is not a percentage; write for example 1% or 0.01.", param, ctx)
        return share


class Scenario(click.ParamType):
    """How load arrives: closed_loop, poisson, constant_rate, stages, replay, single_stream,
    multi_stream, server, offline.
    """

    name = "scenario"

    def convert(self, value, param, ctx) -> str:
        from qs.base.names import nearest
        from qs.base.scenarios import NAMES, spelled

        wanted = str(value).strip().replace("_", "").replace("-", "").replace(" ", "").casefold()
        for name in NAMES:
            if name.casefold() == wanted:
                return name
        known = [spelled(name) for name in NAMES]
        near = nearest(str(value).strip().lower(), known)
        meant = f"; did you mean {near}?" if near else ""
        self.fail(f"{value!r} is not one of {', '.join(known)}{meant}", param, ctx)

    def get_metavar(self, param, ctx=None) -> str:
        return "NAME"

    def shell_complete(self, ctx, param, incomplete):
        from click.shell_completion import CompletionItem

        from qs.base.scenarios import NAMES, spelled

        return [CompletionItem(name) for name in map(spelled, NAMES) if name.startswith(incomplete)]


class Rates(click.ParamType):
    """Stages of load: 10s:100,20s:~500,1m:500 is 10 s at 100/s, 20 s in a straight line up to
    500/s, a minute at 500/s.
    """

    name = "TIME:RATE,..."

    def convert(self, value, param, ctx) -> tuple[tuple[float, float, bool], ...]:
        if isinstance(value, tuple):
            return value
        stages = []
        for part in str(value).split(","):
            time, colon, rate = part.strip().partition(":")
            ramp = rate.startswith("~")
            try:
                per_s = float(rate.removeprefix("~"))
            except ValueError:
                colon, per_s = "", math.nan
            if not colon or not 0 <= per_s <= bounds.PER_S:
                self.fail(
                    f"{part.strip()!r} in {value!r} is not a stage; "
                    "write time:rate, for example 10s:100,30s:500.",
                    param,
                    ctx,
                )
            stages.append((Seconds().convert(time, param, ctx), per_s, ramp))
        if len(stages) > bounds.CASES:
            self.fail(f"{len(stages):,} stages; at most {bounds.CASES:,} are run.", param, ctx)
        return tuple(stages)


class CpuSets(click.ParamType):
    """CPUs of each instance, a slash between instances: 0-3/4-7 or 0,2/1,3."""

    name = "cpus"

    def convert(self, value, param, ctx) -> tuple[tuple[int, ...], ...]:
        if isinstance(value, tuple):
            return value
        sets = []
        for part in str(value).split("/"):
            cpus: list[int] = []
            for piece in part.split(","):
                low, dash, high = piece.strip().partition("-")
                first = whole_number(low)
                last = whole_number(high) if dash else first
                if first is None or last is None or not first <= last <= bounds.CPU:
                    self.fail(
                        f"{reprlib.repr(piece.strip())} in {reprlib.repr(value)} names no CPUs; "
                        f"write for example 0-3/4-7 (CPU numbers go to {bounds.CPU:,}).",
                        param,
                        ctx,
                    )
                cpus += range(first, last + 1)
            sets.append(tuple(dict.fromkeys(cpus)))
            if sum(map(len, sets)) > MOST_CPUS or len(sets) > bounds.COPIES:
                self.fail(f"{reprlib.repr(value)} names more CPUs than can be.", param, ctx)
        return tuple(sets)


class Named(click.ParamType):
    """name=value, repeated or not: for inputs of a model. `of` converts the value.

    A name in double quotes is taken as it is, with its spaces and any `=`: '"a=b"=1,4'. Without
    quotes a value that holds no `=` (`last`: shapes, types, ranges) begins at the last one.
    """

    def __init__(self, of, name: str, example: str, last: bool = False):
        self._of, self.name, self._example, self._last = of, name, example, last

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        key, text = self._split(str(value))
        if not key or not text:
            self.fail(
                f"{value!r} is not name=value; write for example {self._example}.", param, ctx
            )
        try:
            return key, self._of(text)
        except (ValueError, OverflowError):
            self.fail(
                f"{text!r} in {value!r} is not allowed; write for example {self._example}.",
                param,
                ctx,
            )

    def _split(self, value: str) -> tuple[str, str]:
        quoted = re.match(r'\s*"(.+?)"\s*=', value)
        if quoted:
            return quoted[1], value[quoted.end() :].strip()
        key, _, text = value.rpartition("=") if self._last else value.partition("=")
        return key.strip() if key.strip('" ') else "", text.strip()


class OwnData(click.ParamType):
    """input=file, for several inputs; a file or folder alone for one input, whose name is then
    empty.
    """

    name = "data"

    def convert(self, value, param, ctx) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        text = str(value).strip()
        if "=" in text and not Path(text).exists():
            return Named(Path, "data", "images=folder/").convert(text, param, ctx)
        if not text:
            self.fail("it is empty; write for example images=folder/.", param, ctx)
        return "", Path(text)

    def get_metavar(self, param, ctx=None) -> str:
        return "[INPUT=]PATH"


def whole_number(text: str) -> int | None:
    """The number that ASCII digits spell, else None: str.isdigit also takes what int() refuses."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def whole_shape(text: str) -> tuple[int, ...]:
    """1,3,224,224; 0 is an empty dimension, "scalar" a shape without dimensions."""
    if text == "scalar":
        return ()
    shape = tuple(int(side) for side in text.split(","))
    if min(shape) < 0:
        raise ValueError(text)
    return shape


class BatchAxis(click.ParamType):
    """The batch dimension: N (a dimension's name), image=0 (of an input), 0 (of all), none."""

    name = "dimension"

    def convert(self, value, param, ctx) -> tuple[str, int | str | None]:
        if isinstance(value, tuple):
            return value
        text = str(value).strip()
        name, equals, place = text.rpartition("=")
        place = place.strip()
        at = int(place) if re.fullmatch(r"[+-]?\d{1,3}", place) else None
        if equals and name.strip():
            if at is None and place != "none":
                self.fail(
                    f"{place!r} in {text!r} is not a position; write for example image=0 or "
                    "image=none.",
                    param,
                    ctx,
                )
            return name.strip(), at
        if not text or equals:
            self.fail(
                f"{text!r} names no dimension; write for example N, image=0, 0 or none.", param, ctx
            )
        return "", None if text == "none" else text if at is None else at

    def get_metavar(self, param, ctx=None) -> str:
        return "DIMENSION"


def interval(text: str) -> tuple[float, float]:
    """0,30522: from the first up to below the second; 1,1: that value alone. Whole numbers stay
    ints, of any size.
    """
    low, high = (_number(bound.strip()) for bound in text.split(","))
    if not low <= high or not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(text)
    return low, high


def _number(text: str) -> float:
    return int(text) if re.fullmatch(r"[-+]?\d{1,40}", text) else float(text)
