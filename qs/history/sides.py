"""Entries of the history as results to compare: #12, @12, or @TAG for the newest entry with that
tag.
"""

from __future__ import annotations

from functools import partial

from qs.base.errors import UserError
from qs.compare.sides import Side, check_measured
from qs.history.entries import entry, histogram_of, local, result_of, tagged
from qs.history.recording import histograms_of
from qs.result.saved import checked


def from_history(text: str) -> Side:
    """The result of an entry. Where a log of it is gone, a note says so: what the result itself
    holds is compared then.
    """
    mark, name = text[0], text[1:]
    if name.isdigit():
        number = int(name)
    elif mark == "@":
        number = tagged(name)
    else:
        raise UserError(f"{text}: is no entry of the history; write #12, @12, or @TAG")
    found, result = entry(number), result_of(number)
    result = checked(result, text)
    check_measured(result, text)
    said = text if name.isdigit() else f"{text} (#{number})"
    gone = [
        each for each in histograms_of(result["Performance"]) if histogram_of(number, each) is None
    ]
    notes = (
        (
            f"{said}: {len(gone)} of its histograms are gone; of those cases only what the result states is compared",
        )
        if gone
        else ()
    )
    return Side(f"{said} of {local(found.started)}", result, partial(histogram_of, number), notes)
