"""What a child says that it found: it comes back as it was, and nonsense is refused."""

from __future__ import annotations

import numpy as np
import pytest

from qs.engine import Bound, ClosedLoop, Measure, Pool, RunPlan, Unread
from qs.engine.errors import HostError
from qs.engine.hosts.findings import found_of, plain_found
from qs.engine.hosts.messages import understood
from qs.engine.measures.counting import Counter
from qs.engine.measures.found import Found
from qs.engine.measures.measure import Ended, Reading
from qs.engine.workers.share import PlanShare

PLAN = RunPlan(
    ClosedLoop(iterations=1),
    pool=Pool("async"),
    measures=(Measure("one"), Measure("several", many=True)),
    bounds=(Bound("one", 5),),
    sample_requests=3,
)
SHARE = PlanShare(PLAN, 1, 2, keep_columns=True)
MOST = 100


class Call:
    issued_ns, sent_ns, first_ns, last_ns = 10, 20, 30, 250_000_000


def found() -> Found:
    ended = [Ended(Call(), 5, None)] * 4
    last = np.full(4, Call.last_ns)
    reading = Reading(
        {"one": np.array([1, 2, 7, -1])},
        {"several": (np.arange(4), last)},
        ["stop", "stop", "length", ""],
        {"tokens": (last, np.arange(4))},
        {"events": 9},
    )
    made = Counter(SHARE.counted(0)).count(ended, reading)
    made.unread, made.fault, made.misread = Unread.RAISED, "ValueError: no", {"one": "why"}
    made.written_bytes, made.longest_write_ns = 7, 8
    return made


def test_it_comes_back_as_it_was():
    one, other = found(), found_of(plain_found(found()), SHARE, MOST)
    assert plain_found(one) == plain_found(other)
    assert other.worker == 2 and other.unread is Unread.RAISED
    assert other.measures["one"][0].counted == 3
    assert other.good[1].tolist() == [2]
    assert other.sampled["outcome"].dtype == np.int8


def changed(**parts):
    return lambda plain: plain.update(parts)


def deeper(name, key, value):
    return lambda plain: plain[name].update({key: value})


CELLS = (3, 1, 7, 10, 0)
ONE = (2, np.array([1, 2, 7], "<u2").tobytes(), np.ones(3, "<i8").tobytes())
SOME = np.ones(4, "<i8").tobytes()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain.pop("good"),
        changed(requests=-1),
        changed(requests=10**9),
        changed(requests=True),
        changed(completed=5),
        changed(measures=[]),
        deeper("measures", "others", (CELLS, [ONE])),
        deeper("measures", "one", (CELLS, [])),
        deeper("measures", "one", (CELLS, [(MOST + 1, *ONE[1:])])),
        deeper("measures", "one", ((5, 1, 7, 10, 0), [ONE, ONE])),
        deeper("measures", "one", ((3, 9, 7, 10, 0), [ONE])),
        deeper("measures", "one", ((3, 1, 1 << 50, 10, 0), [ONE])),
        deeper("measures", "one", ((3, 1, 7, 10, 2), [ONE])),
        deeper("measures", "one", ((3, 1, 7, 10, "x"), [ONE])),
        deeper("measures", "one", (CELLS, [(2, ONE[1], np.array([1, 1, -1], "<i8").tobytes())])),
        deeper("measures", "one", (CELLS, [(2, ONE[1][::-1], ONE[2])])),
        deeper("measures", "one", (CELLS, [(2, b"x", ONE[2])])),
        deeper("outcomes", "stop", 5),
        deeper("outcomes", "stop", 1.0),
        deeper("outcomes", 7, 1),
        deeper("outcomes", "x" * 1_000, 1),
        changed(outcomes={str(number): 1 for number in range(10_000)}),
        deeper("counts", "events", -1),
        deeper("happened", "tokens", (SOME, SOME)),
        deeper("happened", "tokens", (np.array([1 << 40], "<i8").tobytes(), SOME[:8])),
        deeper("happened", "tokens", (np.array([-1], "<i8").tobytes(), SOME[:8])),
        changed(good=(np.array([1], "<i8").tobytes(), np.array([5], "<i8").tobytes())),
        changed(good=(np.array([MOST + 1], "<i8").tobytes(), SOME[:8])),
        changed(good=7),
        deeper("sampled", "others", SOME),
        deeper("sampled", "one", SOME[:8]),
        deeper("sampled", "outcome", np.full(4, 9, "<i8").tobytes()),
        changed(sample_shift=64),
        changed(sample_shift=-2),
        deeper("columns", "worker", np.ones(5, "<i8").tobytes()),
        changed(misread={"one": 7}),
        changed(misread={"one": "x" * 10_000}),
        changed(unread="on a whim"),
        changed(fault=b"x"),
        changed(fault="x" * 10_000),
        changed(written_bytes=-1),
        changed(longest_write_ns=None),
    ],
)
def test_nonsense_is_refused(spoil):
    plain = plain_found(found())
    spoil(plain)
    with pytest.raises(HostError, match="makes no sense"):
        understood(found_of, plain, SHARE, MOST)
