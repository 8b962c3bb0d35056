"""Kinds of values that several commands take. Each refuses a wrong value in one sentence that says what is allowed."""

from __future__ import annotations

import math

import click

UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Seconds(click.ParamType):
    """A positive span of time: 20, 20s, 500ms, 2m, 1h; converted to seconds."""

    name = "seconds"

    def convert(self, value, param, ctx) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        unit = next((u for u in ("ms", "s", "m", "h") if text.endswith(u)), "")
        try:
            seconds = float(text.removesuffix(unit)) * UNITS[unit or "s"]
        except ValueError:
            self.fail(f"{value!r} is not a time; write for example 20, 20s, 500ms or 2m.", param, ctx)
        if not (math.isfinite(seconds) and seconds > 0):
            self.fail(f"{value!r} is not above zero.", param, ctx)
        return seconds


class WholeNumbers(click.ParamType):
    """One or more whole numbers of at least 1, separated by commas: 1,4,8."""

    name = "numbers"

    def convert(self, value, param, ctx) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        numbers = []
        for part in str(value).split(","):
            try:
                number = int(part)
            except ValueError:
                self.fail(
                    f"{part.strip()!r} in {value!r} is not a whole number; write for example 1,4,8.",
                    param,
                    ctx,
                )
            if number < 1:
                self.fail(f"{number} in {value!r} is below 1.", param, ctx)
            numbers.append(number)
        repeated = sorted({n for n in numbers if numbers.count(n) > 1})
        if repeated:
            self.fail(f"{value!r} names {repeated[0]} more than once.", param, ctx)
        return tuple(numbers)


class WarmUp(click.ParamType):
    """How much to warm up before measuring: a count of iterations per client (3, 0) or a time (2s)."""

    name = "warmup"

    def convert(self, value, param, ctx) -> dict[str, float]:
        if isinstance(value, dict):
            return value
        text = str(value).strip()
        if text.isdigit():
            return {"iterations": int(text)}
        if text[-1:].isalpha():
            return {"seconds": Seconds().convert(text, param, ctx)}
        self.fail(f"{value!r} is neither a count of iterations (3) nor a time (2s).", param, ctx)
