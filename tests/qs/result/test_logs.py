"""Logs are read back as they were measured, silent intervals included."""

from __future__ import annotations

import base64
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hdrh.histogram import HdrHistogram

from qs.base.errors import UserError
from qs.comparison.measured import METRICS, ones
from qs.engine import ConstantRate, Pool, RunPlan, Stop, run
from qs.engine.record.histogram import (
    HIGHEST_NS,
    LOWEST_NS,
    SIGNIFICANT_DIGITS,
    highest_value_of,
    index_of,
    lowest_value_of,
)
from qs.result.logs import MOST_CELLS, MOST_S, joined, read_log
from tests.fakes import MS, S, Service, VirtualClock


@pytest.fixture(scope="module")
def result():
    """Four seconds before one server that stalls once: one second of them has no answer."""
    clock = VirtualClock()
    target = Service(clock, MS // 2, stall_at_ns=S, stall_ns=1_500 * MS)
    return run(RunPlan(ConstantRate(500), Stop(duration_s=4), Pool("inline")), target, clock=clock)


@pytest.fixture(scope="module")
def text(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "run.hlog"
    result.write_hlog(path)
    return path.read_text()


def test_the_figures_are_the_engines_own(result, text):
    series = read_log(text, result.wall_s)
    found = {metric.name: float(metric.of(series, ones(series))[0]) for metric in METRICS}
    assert series.completed == result.completed == 2_000
    assert series.seconds == pytest.approx(result.wall_s, abs=1e-5)
    assert found["throughput"] == pytest.approx(result.queries_per_s, rel=1e-5)
    assert found["mean"] == pytest.approx(result.response.mean_ns, rel=1e-3)
    for name, percentile in (("p50", 50), ("p90", 90), ("p99", 99), ("p99.9", 99.9)):
        assert min(found[name], result.response.max_ns) == result.response.percentile_ns(percentile)


def test_intervals_without_an_answer_are_intervals(result, text):
    series = read_log(text, result.wall_s)
    silent = series.counts.sum(axis=1) == 0
    assert silent.sum() == sum(row.completed == 0 for row in result.intervals) >= 1
    assert series.lengths_s[silent].sum() == pytest.approx(
        sum(row.length_s for row in result.intervals if not row.completed)
    )


def test_a_run_that_ended_in_silence_lasted_until_its_end(text):
    assert read_log(text, 10.0).seconds == pytest.approx(10.0)
    assert read_log(text, 10.0).counts[-1].sum() == 0


def test_a_long_log_keeps_its_sums(text):
    lines = [line for line in text.splitlines() if line[0] not in '#"']
    payload = lines[0].split(",", 3)[3]
    long = "\n".join(f"{second}.0,1.0,5.0,{payload}" for second in range(1_000))
    series = read_log(long)
    assert 2 < series.cells <= MOST_CELLS
    assert series.seconds == pytest.approx(1_000)
    assert series.completed == 1_000 * read_log(lines[0]).completed


def test_an_empty_log_is_an_empty_series():
    series = read_log("#[nothing]\n")
    assert (series.cells, series.completed) == (0, 0)


DAMAGED = [
    "1,2,3",
    "0.0,1.0,5.0,HISTFAAAAB",
    "a,b,c,d",
    "0.0,1.0,5.0,",
    "nan,1.0,5.0,{}",
    "inf,1.0,5.0,{}",
    "-1,1.0,5.0,{}",
    "1e9,1.0,5.0,{}",
    "0.0,0.0,5.0,{}",
    "0.0,nan,5.0,{}",
    "0.0,1e300,5.0,{}",
    "0.0,1.0,5.0,{}\x00",
    "0.0,1.0,5.0,é",
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_log_is_one_message(line):
    with pytest.raises(UserError, match=r"latency/x\.hlog"):
        read_log(line.format(packed(5_000_000)), where="latency/x.hlog")


def packed(*values_ns: int) -> str:
    one = HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
    for value in values_ns:
        one.record_value(value)
    return one.encode().decode()


def repacked(change: Callable[[bytes], bytes]) -> str:
    """A payload with its content changed before it was packed."""
    whole = base64.b64decode(packed(5_000_000))
    content = zlib.compress(change(zlib.decompress(whole[8:])))
    return base64.b64encode(whole[:4] + struct.pack(">I", len(content)) + content).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content + bytes(50_000_000),  # of which 48 kB remain when it is packed
        lambda content: content[:20],
        lambda content: b"",
        lambda content: content[:16] + struct.pack(">Q", 0) + content[24:],  # the lowest value
        lambda content: content[:24] + struct.pack(">Q", 2**63) + content[32:],  # the highest
        lambda content: content[:12] + struct.pack(">I", 5) + content[16:],  # the digits
    ],
    ids=["bomb", "short", "empty", "lowest", "highest", "digits"],
)
def test_a_payload_is_looked_at_before_room_is_made_for_it(change):
    line = f"0.0,1.0,5.0,{repacked(change)}"
    tracemalloc.start()
    with pytest.raises(UserError, match="not an HdrHistogram log"):
        read_log(line)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000


@pytest.mark.parametrize("wall_s", [1e6, 1e12, 1e300])
def test_a_long_silence_takes_no_memory(wall_s):
    series = read_log(f"0.0,0.001,5.0,{packed(5_000_000)}", wall_s)
    assert series.cells <= MOST_CELLS and series.completed == 1
    assert series.seconds == pytest.approx(min(wall_s, MOST_S))


def test_a_log_has_no_more_intervals_than_a_week(monkeypatch):
    monkeypatch.setattr("qs.result.logs.MOST_LINES", 3)
    with pytest.raises(UserError, match="more than 3 intervals"):
        read_log("0.0,1.0,5.0,x\n" * 4)


def test_a_late_interval_is_of_another_run():
    with pytest.raises(UserError, match="goes on until 501 s, of a run of 4 s"):
        read_log(f"500.0,1.0,5.0,{packed(5_000_000)}", 4.0)


def test_another_tools_log_is_refused():
    from hdrh.histogram import HdrHistogram

    other = HdrHistogram(1, 3_600_000, 2)
    other.record_value(5)
    with pytest.raises(UserError, match="three digits"):
        read_log(f"0.0,1.0,5.0,{other.encode().decode()}")


def test_bins_are_the_engines():
    index = index_of(5_000_000)
    one = HdrHistogram(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS)
    one.record_value(5_000_000)
    read = read_log(f"0.0,1.0,5.0,{one.encode().decode()}")
    assert read.tops_ns.tolist() == [highest_value_of(index)]
    assert read.middles_ns[0] == (lowest_value_of(index) + highest_value_of(index)) / 2


def test_runs_put_together_hold_what_each_held(text):
    whole = read_log(text)
    lines = text.splitlines()
    other = read_log("\n".join(lines[:-1]))
    both = joined([whole, other])
    assert both.starts == (0, whole.cells)
    assert both.completed == whole.completed + other.completed
    for number, part in enumerate((whole, other)):
        again = both.run(number)
        for metric in METRICS:
            assert metric.of(again, ones(again))[0] == pytest.approx(metric.of(part, ones(part))[0])
