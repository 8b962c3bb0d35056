"""What each node did, as a row has it: figures, clocks, series on the common timeline, logs."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest

from qs.engine import ClockReading, ClosedLoop, NodePart, RunPlan, run
from qs.evaluate.node_rows import MOST_POINTS, entries_of, summary_of, write_logs
from qs.result.folder import ReportFolder

CLOCK = ClockReading(3_000_000_000, 40_000, 1.5, 200, 60_000)


@pytest.fixture(scope="module")
def measured():
    plan = RunPlan(load=ClosedLoop(2, 400), interval_s=0.005)
    return run(plan, lambda sample: None)


def over(measured, *nodes: NodePart):
    return replace(measured, nodes=list(nodes))


def test_a_node_has_the_figures_of_its_own_result(measured):
    node = NodePart("a", "10.0.0.1", "clients 1 to 2 of 4", measured, CLOCK, 30_000)
    (entry,) = entries_of(over(measured, node), items=8, logs={"a": "nodes/fp32-a.log"})
    assert (entry.completed, entry.errors) == (800, 0)
    assert entry.items_per_s == pytest.approx(8 * measured.queries_per_s)
    assert entry.p99_ms == pytest.approx(measured.response.reported_ns(99.0) / 1e6)
    assert (entry.service_p99_ms, entry.lateness_p99_ms) == (None, None)  # of open loop
    assert (entry.start_skew_ms, entry.clock.offset_ms) == (0.03, 3000.0)
    assert (entry.clock.uncertainty_ms, entry.clock.least_round_trip_ms) == (0.04, 0.06)
    assert (entry.lost, entry.replaces, entry.log) == (None, None, "nodes/fp32-a.log")
    assert entry.cpu_use is None or not entry.cpu_use.groups


def test_its_series_adds_up(measured):
    node = NodePart("a", "", "", measured)
    (entry,) = entries_of(over(measured, node), items=1)
    series = entry.series
    lasted = [end - at for at, end in zip(series.at_s, [*series.at_s[1:], series.end_s])]
    assert sum(rate * s for rate, s in zip(series.per_s, lasted)) == pytest.approx(800, rel=1e-3)
    assert len(series.per_s) == len(series.p99_ms) == len(series.errors) == len(series.at_s)


def test_a_long_series_is_put_together(measured):
    row = measured.intervals[0]
    rows = [replace(row, start_s=float(at), length_s=1.0, p99_ns=at + 1) for at in range(2000)]
    node = NodePart("a", "", "", replace(measured, intervals=rows))
    (entry,) = entries_of(over(measured, node), items=1)
    assert len(entry.series.at_s) <= MOST_POINTS and entry.series.end_s == 2000.0
    assert entry.series.p99_ms[0] == pytest.approx(4e-6)  # the highest of four


def test_the_rest_of_an_interval_belongs_to_that_before_it(measured):
    """Else the one request that ended after the measurement makes the chart's highest p99."""
    row = replace(measured.intervals[0], length_s=1.0, completed=100, errors=0, p99_ns=1_000_000)
    rest = replace(row, start_s=2.0, length_s=0.25, completed=25, errors=1, p99_ns=20_000_000)
    rows = [replace(row, start_s=0.0), replace(row, start_s=1.0), rest]
    (entry,) = entries_of(
        over(measured, NodePart("a", "", "", replace(measured, intervals=rows))), items=1
    )
    series = entry.series
    assert (series.at_s, series.end_s) == ([0.0, 1.0], 2.25)
    assert (series.per_s, series.errors) == ([100.0, 100.0], [0, 1])
    assert series.p99_ms == [1.0, 1.0]


def test_a_lost_node_says_why_and_what_is_kept(measured):
    lost = NodePart("b", "10.0.0.2", "part 2 of 2", None, lost="silent for 10 s", lost_at_s=12.0)
    taken = NodePart("c", "10.0.0.3", "part 2 of 2, from 13 s", measured, replaces="b")
    good = NodePart("a", "10.0.0.1", "part 1 of 2", measured, CLOCK, -20_000)
    entries = entries_of(over(measured, good, lost, taken), items=1)
    assert (entries[1].lost, entries[1].completed, entries[1].clock) == (
        "silent for 10 s",
        None,
        None,
    )
    assert entries[2].replaces == "b"
    assert summary_of(entries) | {"nodes": 0} == {
        "node_count": 2,
        "nodes_lost": 1,
        "start_skew_ms": 0.02,
        "clock_uncertainty_ms": 0.04,
        "nodes": 0,
    }
    assert summary_of([]) == {}


def test_what_a_node_says_of_itself_is_not_trusted(measured):
    facts = {"cpu_model": "x" * 10_000, "python": "3.11.2", "host": "\ud800", "odd": {1, 2}}
    node = NodePart("\udcff", "", "", measured, facts=facts)
    (entry,) = entries_of(over(measured, node), items=1)
    assert entry.name == "\\udcff" and entry.facts["host"] == "\\ud800"
    assert entry.facts["python"] == "3.11.2" and "cpu_model" not in entry.facts
    assert not entries_of(over(measured, node), items=1, brief=True)[0].facts


def test_logs_are_files_beside_the_report_whatever_nodes_are_called(tmp_path, measured):
    names = ["../../etc/passwd", "a b", "a/b", "", "x" * 300, "\ud800"]
    nodes = [NodePart(name, "", "", measured, log="said\x1b[2J\nmore") for name in names]
    folder = ReportFolder(tmp_path, "fp32")
    written = write_logs(nodes, folder, lambda name: nullcontext())
    assert len(set(written.values())) == len(names)
    for name in written.values():
        place = tmp_path / name
        assert place.resolve().parent == (tmp_path / "nodes").resolve()
        assert place.read_text() == "said\\x1b[2J\nmore\n"
    assert len(folder.node_logs(folder.result)) == len(names)
    folder.forget_histograms()
    assert not folder.node_logs(folder.result)
