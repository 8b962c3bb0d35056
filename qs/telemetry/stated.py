"""What a backend's `telemetry()` states, as channels: checked where it is called, and again where
its file is read, for that is written in a process that is not trusted.

    {"power_w": 312.0, "utilisation_percent": 97.5,
     "hbm_j": {"value": 1234.5, "unit": "J", "kind": "counter"}}

`power_w` and `energy_j` are the power and the energy of all that the backend computes on, and
count; `utilisation_percent` is how busy that is. Everything else is shown beside them.
"""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qs.base.errors import UserError
from qs.base.files import read_regular
from qs.telemetry.channel import NAN, Channel, Part, Unit
from qs.telemetry.follower import Log
from qs.telemetry.summary import Taken

FILE = "telemetry-stated.jsonl"
SOURCE = "backend"
MOST_NAMES, MOST_CHARS, MOST_UNIT_CHARS = 64, 64, 16
MOST_BYTES = 32 << 20
KINDS = ("gauge", "counter")
POWER, ENERGY = "power_w", "energy_j"
USE = ("utilisation_percent", "utilization_percent")
# How a name ends -> the unit of what it is.
ENDS = {"_w": "W", "_j": "J", "_percent": "%", "_c": "°C", "_bytes": "bytes"}
UNITS = {"W": Unit.WATT, "%": Unit.PERCENT, "°C": Unit.CELSIUS, "bytes": Unit.BYTES}
ALLOWED = (
    "a dict of up to 64 names, each with a number or with "
    '{"value": number, "unit": text, "kind": "gauge" or "counter"}'
)


def checked(answer: object) -> dict[Channel, float]:
    """The channels of one answer. Raises ValueError that says what is wrong with it."""
    if not isinstance(answer, Mapping):
        raise ValueError(f"it returned {type(answer).__name__}; allowed: {ALLOWED}")
    if len(answer) > MOST_NAMES:
        raise ValueError(f"it returned {len(answer)} names; allowed: {ALLOWED}")
    found: dict[Channel, float] = {}
    for name, given in answer.items():
        if not isinstance(name, str) or not 0 < len(name) <= MOST_CHARS or not name.isprintable():
            raise ValueError(
                f"{name!r:.70} is no name; allowed: a printable text of up to {MOST_CHARS} letters"
            )
        value, unit, kind = given, None, None
        if isinstance(given, Mapping):
            value, unit, kind = (given.get(key) for key in ("value", "unit", "kind"))
        channel = _channel(name, unit, kind)
        found[channel] = _number(name, value)
    return found


def plain(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The same answer as JSON takes it, after `checked`."""
    made: dict[str, Any] = {}
    for name, given in answer.items():
        if isinstance(given, Mapping):
            made[name] = {**given, "value": _number(name, given.get("value"))}
            made[name] = {key: made[name].get(key) for key in ("value", "unit", "kind")}
        else:
            made[name] = _number(name, given)
    return made


def _channel(name: str, unit: Any, kind: Any) -> Channel:
    if kind is not None and kind not in KINDS:
        raise ValueError(f"{name}: kind {kind!r:.40} is not allowed; one of {', '.join(KINDS)}")
    if unit is not None and (not isinstance(unit, str) or len(unit) > MOST_UNIT_CHARS):
        raise ValueError(f"{name}: unit {unit!r:.40} is not allowed; a text, such as W or J")
    word = unit or next((each for end, each in ENDS.items() if name.endswith(end)), "")
    if not word.isprintable():
        raise ValueError(f"{name}: unit {unit!r:.40} is not printable")
    if word == "J":
        # Joules are what a power's counter counts; those of a moment are nobody's.
        if kind == KINDS[0]:
            raise ValueError(f"{name}: energy in J is a counter, that goes up")
        part = Part.ACCELERATOR if name == ENERGY else Part.ASIDE
        return Channel(name, Unit.WATT, part, counter=True)
    if kind == KINDS[1]:
        raise ValueError(f"{name}: a counter of {word or 'no unit'} is not known; allowed: J")
    found = UNITS.get(word, Unit.OTHER)
    part = Part.ASIDE
    if name == POWER and found is Unit.WATT:
        part = Part.ACCELERATOR
    elif name in USE and found is Unit.PERCENT:
        part = Part.DEVICE_USE
    return Channel(name, found, part, own_unit=word if found is Unit.OTHER else "")


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: {value!r:.40} is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}: {number} is not allowed; a finite number")
    return number


def read_stated(folder: Path) -> Taken | None:
    """What was stated during a case, from the file in its folder; None if no `telemetry()` was
    called. A file that is none says so as the log's fault.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    try:
        lines = read_regular(path, MOST_BYTES).splitlines()
    except UserError:
        fault = "what telemetry() stated is in no file that can be read"
        return Taken(SOURCE, Log((), fault=fault), stated=True)
    at_ns: list[int] = []
    columns: dict[Channel, list[float]] = {}
    cpu_ns, fault = 0, ""
    for line in lines:
        try:
            entry = json.loads(line)
            if "values" in entry:
                values = checked(entry["values"])
                at_ns.append(_whole(entry["at_ns"]))
            else:
                values = {}
                cpu_ns += _whole(entry.get("cpu_ns", 0))
                fault = fault or str(entry.get("fault", ""))[:300]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue  # the last line of a process that was ended, or whatever was put there
        for channel, value in values.items():
            if channel in columns or len(columns) < MOST_NAMES:
                column = columns.setdefault(channel, [])
                column += [NAN] * (len(at_ns) - 1 - len(column))
                column.append(value)
    order = sorted(range(len(at_ns)), key=at_ns.__getitem__)
    log = Log(tuple(columns), cpu_ns=cpu_ns, fault=fault)
    log.at_ns = array("q", (at_ns[at] for at in order))
    for kept, column in zip(log.values, columns.values(), strict=True):
        column += [NAN] * (len(at_ns) - len(column))
        kept.extend(column[at] for at in order)
    return Taken(SOURCE, log, stated=True)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise ValueError(f"{value!r:.40} is no time")
    return value
