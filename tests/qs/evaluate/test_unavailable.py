"""When a server was unavailable, by what was answered and what failed in each interval."""

from __future__ import annotations

import pytest

from qs.engine import IntervalRow
from qs.evaluate.unavailable import is_of_server, spells


def rows(*given: tuple[int, int] | tuple[int, int, float]) -> list[IntervalRow]:
    """Intervals of a second: (completed, errors), and the length of one that is shorter."""
    found, at = [], 0.0
    for completed, errors, *length in given:
        length_s = length[0] if length else 1.0
        in_flight = 0 if completed or errors else 5
        found.append(IntervalRow(at, length_s, completed, errors, None, None, in_flight))
        at += length_s
    return found


USUAL = (100, 0)
TABLE = [
    # a hole of whole intervals
    (rows(USUAL, USUAL, (0, 90), (0, 90), USUAL), ["from 2.0 s to 4.0 s"]),
    # its ends within intervals
    (rows(USUAL, USUAL, (80, 20), (0, 90), (40, 60), USUAL), ["from 2.8 s to 4.6 s"]),
    # shorter than an interval
    (rows(USUAL, (70, 30), USUAL), ["from 1.0 s to 1.3 s"]),
    # it never came back; it was away at first
    (rows(USUAL, USUAL, (50, 50), (0, 90)), ["from 2.5 s on"]),
    (rows((0, 90), (50, 40), USUAL, USUAL), ["until 1.5 s"]),
    # silence, and then the requests time out
    (rows(USUAL, USUAL, (0, 0), (0, 0), (0, 64), USUAL), ["from 2.0 s to 5.0 s"]),
    # twice
    (rows(USUAL, (0, 9), USUAL, (0, 9), USUAL), ["from 1.0 s to 2.0 s", "from 3.0 s to 4.0 s"]),
    # none: all fails, one in a hundred fails, half of all fail all the time, nothing fails
    (rows((0, 90), (0, 90)), []),
    (rows(USUAL, (99, 1), USUAL, (98, 2)), []),
    (rows((50, 50), (52, 48), (49, 51)), []),
    (rows(USUAL, (50, 0), USUAL), []),
    # a slow moment with a single failure, and requests that take longer than an interval
    (rows(USUAL, (20, 2), USUAL), []),
    (rows(USUAL, (0, 0), USUAL, (0, 0)), []),
    # the last interval is cut short by the end
    (rows(USUAL, USUAL, (0, 30, 0.3)), ["from 2.0 s to 2.3 s"]),
    (rows(USUAL, USUAL, (29, 1, 0.3)), []),
    # half of all fail all the time, but for the last moment
    (rows((50, 50), (52, 48), (49, 51), (2, 0, 0.02)), []),
    ([], []),
]


@pytest.mark.parametrize(("given", "wanted"), TABLE, ids=range(len(TABLE)))
def test_spells(given, wanted):
    assert list(map(str, spells(given))) == wanted


def test_which_failures_are_the_servers():
    away = ("refused", "reset", "closed", "connect timeout", "HTTP 503", "HTTP 404", "HTTP 500")
    assert all(map(is_of_server, (*away, "gRPC UNAVAILABLE", "gRPC NOT_FOUND")))
    wrong = ("HTTP 400", "gRPC INVALID_ARGUMENT", "bad answer", "ValueError", "timeout", "tls")
    assert not any(map(is_of_server, wrong))
