"""Entries of the history as results to compare: #12, @12, or @TAG for the newest entry with that
tag.
"""

from __future__ import annotations

from functools import partial

from qs.base.errors import UserError
from qs.compare.sides import Side, check_measured
from qs.history.entries import entry, local, log_text, logs_of, number_in, result_of, tagged


def from_history(text: str) -> Side:
    """The result of an entry. If a log of it is gone, a note says so: then what the result itself
    holds is compared.
    """
    mark, name = text[0], text[1:]
    stated = number_in(name)
    if stated is None and mark != "@":
        raise UserError(f"{text}: is not an entry of the history; write #12, @12, or @TAG")
    number = tagged(name) if stated is None else stated
    found, result = entry(number), result_of(number)
    check_measured(result, text)
    name = text if stated is not None else f"{text} (#{number})"
    gone = sum(log_text(number, log) is None for log in logs_of(result.performance))
    notes = (
        f"{name}: {gone} of its histograms are gone; for those cases only what the result states "
        "is compared",
    )
    title = f"{name} of {local(found.started)}"
    return Side(title, result, partial(log_text, number), notes if gone else ())
