"""The parts of a service time that a started target's calls tell apart, by the stamps that they
bring.

Each part that a plan asks for has a histogram of its own. A stamp that a call does not have is 0:
the part is then in no histogram, and one that would be negative is counted as out of range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# By name: the stamps between which it lies; "issued" and "completed" are the columns that every
# request has, the others are kept where a part needs them.
PARTS = {
    "wait": ("issued", "sent"),  # for a connection
    "first_byte": ("sent", "first"),
    "transfer": ("first", "completed"),
}
# The attribute of a call that a column is filled from.
STAMPS = {"sent": "sent_ns", "first": "first_ns"}


def stamps_of(parts: Sequence[str]) -> tuple[str, ...]:
    """The columns that these parts need beside those that every request has."""
    needed = {stamp for part in parts for stamp in PARTS[part]}
    return tuple(stamp for stamp in STAMPS if stamp in needed)


def durations_of(
    part: str, stamps: Mapping[str, np.ndarray], issued: np.ndarray, completed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How long the part took in each row, int64 ns, and which rows have both of its stamps."""
    columns = {**stamps, "issued": issued, "completed": completed}
    began, ended = (columns[stamp] for stamp in PARTS[part])
    return ended - began, (began > 0) & (ended > 0)
