"""Entries of the history as results to compare: #12, @12, or @TAG for the newest entry with that
tag.
"""

from __future__ import annotations

from functools import partial

from qs.base.errors import UserError
from qs.compare.sides import Side, check_measured
from qs.history.entries import entry, local, log_text, logs_of, result_of, tagged


def from_history(text: str) -> Side:
    """The result of an entry. If a log of it is gone, a note says so: then what the result itself
    holds is compared.
    """
    mark, name = text[0], text[1:]
    if name.isdigit():
        number = int(name)
    elif mark == "@":
        number = tagged(name)
    else:
        raise UserError(f"{text}: is not an entry of the history; write #12, @12, or @TAG")
    found, result = entry(number), result_of(number)
    check_measured(result, text)
    name = text if name.isdigit() else f"{text} (#{number})"
    gone = sum(log_text(number, log) is None for log in logs_of(result.performance))
    notes = (
        f"{name}: {gone} of its histograms are gone; for those cases only what the result states "
        "is compared",
    )
    title = f"{name} of {local(found.started)}"
    return Side(title, result, partial(log_text, number), notes if gone else ())
