"""Names of open dimensions, which may be sums: `past_sequence_length + sequence_length`,
`2*batch`, `floor(height/8)`.

Exporters write them as text; names may hold dots, colons and hyphens (`DynamicDimension.0`,
`seq-len`), so a hyphen between letters belongs to a name. Text that is no expression is one name.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 200  # characters; anything longer is one name
_TOKEN = re.compile(r"\s*(\d+|[^\W\d][\w.:]*(?:-[^\W\d][\w.:]*)*|//|[-+*/(),])")
_FUNCTIONS: Mapping[str, Callable[..., Fraction]] = {
    "floor": lambda value: Fraction(math.floor(value)),
    "ceil": lambda value: Fraction(math.ceil(value)),
    "ceiling": lambda value: Fraction(math.ceil(value)),
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
}
_IMPOSSIBLE = (ArithmeticError, TypeError, ValueError)  # division by zero, floor(a, b)

Values = Mapping[str, int]
_Part = Callable[[Values], Fraction]


@dataclass(frozen=True)
class Expression:
    """A dimension computed from others. One plain name is the simplest."""

    text: str
    names: tuple[str, ...]
    _compute: _Part

    @property
    def plain(self) -> bool:
        """Whether it is a name alone."""
        return self.names == (self.text,)

    def value(self, values: Values) -> int | None:
        """Rounded down; None if a name is missing, or it cannot be computed."""
        if any(name not in values for name in self.names):
            return None
        try:
            found = math.floor(self._compute(values))
        except _IMPOSSIBLE:
            return None
        return found if found >= 0 else None

    def solved(self, size: int, values: Values) -> tuple[str, int] | None:
        """The one name that `values` leaves open, and the whole number >= 0 that makes the
        expression equal `size`; None if there is no such number, or several names are open.
        """
        open_ones = [name for name in self.names if name not in values]
        if len(open_ones) != 1:
            return None
        (name,) = open_ones
        try:
            at_0, at_1 = (self._compute({**values, name: at}) for at in (0, 1))
            guess = math.ceil((size - at_0) / (at_1 - at_0))
        except _IMPOSSIBLE:
            return None
        return (name, guess) if self.value({**values, name: max(guess, 0)}) == size else None


def expression(text: str) -> Expression:
    """What the text says; the text as one name if that is nothing."""
    try:
        if len(text) <= LONGEST:
            tokens = list(_tokens(text))
            names = tuple(
                dict.fromkeys(
                    token
                    for token, after in zip(tokens, [*tokens[1:], ""])
                    if _is_name(token) and after != "("
                )
            )
            compute, rest = _sum(tokens)
            if not rest and names:
                return Expression(names[0] if tokens == [names[0]] else text, names, compute)
    except (ValueError, IndexError, RecursionError):
        pass
    return Expression(text, (text,), lambda values: Fraction(values[text]))


def _tokens(text: str) -> Iterator[str]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(text)
        yield found.group(1)
        at = found.end()


def _is_name(token: str) -> bool:
    return token[0].isalpha() or token[0] == "_"


def _sum(tokens: list[str]) -> tuple[_Part, list[str]]:
    found, rest = _product(tokens)
    while rest and rest[0] in ("+", "-"):
        how = operator.add if rest[0] == "+" else operator.sub
        other, rest = _product(rest[1:])
        found = _both(found, other, how)
    return found, rest


def _product(tokens: list[str]) -> tuple[_Part, list[str]]:
    found, rest = _factor(tokens)
    while rest and rest[0] in ("*", "/", "//"):
        how = rest[0]
        other, rest = _factor(rest[1:])
        if how == "*":
            found = _both(found, other, lambda a, b: a * b)
        elif how == "/":
            found = _both(found, other, lambda a, b: a / b)
        else:
            found = _both(found, other, lambda a, b: Fraction(a // b))
    return found, rest


def _factor(tokens: list[str]) -> tuple[_Part, list[str]]:
    token, rest = tokens[0], tokens[1:]
    if token == "-":
        part, rest = _factor(rest)
        return lambda values: -part(values), rest
    if token == "(":
        part, rest = _sum(rest)
        return part, _after(rest, ")")
    if token.isdigit():
        return lambda values: Fraction(int(token)), rest
    if not _is_name(token):
        raise ValueError(token)
    if rest and rest[0] == "(":
        function = _FUNCTIONS.get(token.lower())
        if function is None:
            raise ValueError(token)
        part, rest = _sum(rest[1:])
        parts = [part]
        while rest and rest[0] == ",":
            part, rest = _sum(rest[1:])
            parts.append(part)
        return lambda values: function(*(part(values) for part in parts)), _after(rest, ")")
    return lambda values: Fraction(values[token]), rest


def _after(tokens: list[str], wanted: str) -> list[str]:
    if tokens[0] != wanted:
        raise ValueError(tokens[0])
    return tokens[1:]


def _both(one: _Part, other: _Part, how: Callable[[Fraction, Fraction], Fraction]) -> _Part:
    return lambda values: how(one(values), other(values))
