"""Results as nobody should have written them: one or a few places of a good one changed, from a
seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

# What stands where something else belongs. The raw words are no Python value: JSON may hold numbers
# that no float can.
STRANGE = [
    None,
    True,
    -1,
    0,
    2**63 - 1,
    2**63,
    2**64,
    10**40,
    1e308,
    -1e308,
    5e-324,
    "",
    "text",
    "12",
    "VALID",
    "../../etc/passwd",
    "\x1b]0;x\x07\r\n\u202e\x00",
    "x" * 5_000,
    [],
    [None],
    ["x", 1, {}],
    [[[[]]]],
    {},
    {"a": {"b": [None, 1e308]}},
    {"": ""},
]
RAW = ["NaN", "Infinity", "-Infinity", "1e999", '"\\ud800"', "[" * 3_000 + "]" * 3_000, "{", "01"]
WHOLE = [-(2**63), -1, 0, 1, 10**12, 2**63 - 1]
FLOATS = [-1e308, -1.0, -0.0, 0.0, 5e-324, 1e-9, 1.0, 1e12, 1e300, 1.7e308]
_HOLE = "a hole for raw text"


def places(plain: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in plain data, but of long lists to the first two alone."""
    pairs: Any = ()
    if isinstance(plain, dict):
        pairs = plain.items()
    elif isinstance(plain, list):
        pairs = enumerate(plain[:2])
    for key, value in pairs:
        yield (*at, key)
        yield from places(value, (*at, key))


def damaged(plain: Any, rng: random.Random) -> bytes:
    """The text of a file that is nearly this one."""
    made = json.loads(json.dumps(plain))
    raw = ""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.choice(list(places(made)))
        holder = value_at(made, at[:-1])
        kind = rng.random()
        if kind < 0.2:
            del holder[at[-1]]
        elif kind < 0.85:
            holder[at[-1]] = rng.choice(STRANGE)
        elif kind < 0.9 and isinstance(holder, dict):
            holder[f"{at[-1]}"] = holder.pop(at[-1])
            holder["another"] = rng.choice(STRANGE)
        else:
            holder[at[-1]], raw = _HOLE, rng.choice(RAW)
    text = json.dumps(made).replace(json.dumps(_HOLE), raw, 1)
    if rng.random() < 0.05:
        text = text[: rng.randrange(len(text))]
    return text.encode()


def extreme(plain: Any, rng: random.Random) -> bytes:
    """The same with numbers that are of the right type and cannot be true."""
    made = json.loads(json.dumps(plain))
    numbers = [at for at in places(made) if type(value_at(made, at)) in (int, float)]
    for at in rng.sample(numbers, min(len(numbers), rng.choice((1, 3, 30)))):
        holder = value_at(made, at[:-1])
        choices = WHOLE if type(holder[at[-1]]) is int else FLOATS
        holder[at[-1]] = rng.choice(choices)
    return json.dumps(made).encode()


def value_at(plain: Any, at: tuple[Any, ...]) -> Any:
    for step in at:
        plain = plain[step]
    return plain
