"""Nodes of a case in flight: in words, in the panel, in lines, in metrics, on the live page."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from qs.engine import NodeProgress, Progress
from qs.evaluate.web import MOST_NODES, LivePage
from qs.watch.metrics import Exporter
from qs.watch.nodes import Losses, figures, phase_word, standing_out, summary
from qs.watch.panel import Machine, Panel
from qs.watch.terminal import Plain

A = NodeProgress("a", "measure", 1200, 0, 240.0, 4_200_000)
B = NodeProgress("b", "measure", 900, 3, 180.0, 9_000_000, silent_s=4.0)
C = NodeProgress("c", "lost", 500, 0, 0.0, 4_000_000)
D = NodeProgress("d", "starting")
MEASURING = Progress("measure", 2600, None, 3, 5.0, 520.0, 420.0, nodes=(A, B, C))
MANY = tuple(replace(A, name=f"n{at}", p99_ns=1_000_000 + at) for at in range(1000))


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ((A,), "1 node: 1 measuring"),
        ((A, B, C), "3 nodes: 2 measuring, 1 lost (c), 1 silent (b)"),
        ((D, D), "2 nodes: 2 starting"),
        ((*MANY, C), "1,001 nodes: 1,000 measuring, 1 lost (c)"),
        ((C,) * 6, "6 nodes: 6 lost (c, c, c, c, 2 more)"),
    ],
)
def test_all_of_them_in_a_few_words(nodes, said):
    assert summary(nodes) == said


def test_one_of_them_in_a_few_words():
    assert figures(B) == "180/s, p99 9 ms, 3 errors"
    assert [phase_word(each) for each in (A, B, C, D)] == [
        "measuring",
        "silent for 4.0 s",
        "lost",
        "starting",
    ]


def test_of_many_those_are_shown_that_stand_out():
    found = standing_out([*MANY, B, C], 3)
    assert [each.name for each in found] == ["c", "b", "n999"]
    assert standing_out([A, B, C], 3) == [A, B, C]  # in their order


def test_the_panel_shows_each_and_a_lost_one_in_red():
    panel = Panel("batch size 4", 10.0, Machine(clock=lambda: 0.0))
    panel.see(MEASURING)
    rows = panel.rows(100)
    text = ["".join(words for words, _ in parts) for parts in rows]
    assert text[-4:] == [
        "nodes   3 nodes: 2 measuring, 1 lost (c), 1 silent (b)",
        "        a: 240/s, p99 4.2 ms",
        "        b: 180/s, p99 9 ms, 3 errors, silent for 4.0 s",
        "        c: lost",
    ]
    assert rows[-1][-1][1] == "red" and rows[-2][-1][1] == "yellow"


def test_the_panel_shows_nodes_that_start():
    panel = Panel("batch size 4", None, Machine(clock=lambda: 0.0))
    panel.see(Progress("build", nodes=(D, replace(D, name="e", phase="warmup"))))
    assert panel.lines(100)[1:] == [
        "nodes   2 nodes: 1 starting, 1 warming up",
        "        d: starting",
        "        e: warming up",
    ]


def test_a_panel_of_a_thousand_has_few_lines():
    panel = Panel("batch size 4", None, Machine(clock=lambda: 0.0))
    panel.see(replace(MEASURING, nodes=(*MANY, C)))
    assert len(panel.lines(100)) < 20 and panel.lines(100)[-8:][0].strip() == "c: lost"


def test_a_loss_is_said_once_and_at_once():
    stream, now = io.StringIO(), [0.0]
    with Plain(stream, lambda: now[0]).case("BS 1") as follow:
        follow(replace(MEASURING, nodes=(A, B)))
        follow(MEASURING)
        follow(MEASURING)
        now[0] = 6.0
        follow(MEASURING)
    said = stream.getvalue().splitlines()
    assert said.count("BS 1: node c was lost") == 1
    assert said[-1].endswith("3 nodes: 2 measuring, 1 lost (c), 1 silent (b)")


def test_names_of_others_do_no_harm():
    evil = replace(C, name="\x1b[2J\nverdict: VALID" + "x" * 500)
    assert "\x1b" not in summary([evil]) and "\n" not in summary([evil])
    (said,) = Losses().see(replace(MEASURING, nodes=(evil,)))
    assert "\n" not in said and len(said) < 80


def test_metrics_have_each_node():
    exporter = Exporter("t", "CPU")
    with exporter.case("BS 1") as follow:
        follow(MEASURING)
        text = generate_latest(exporter.registry).decode()
    found = {
        (sample.name, sample.labels["node"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "node" in sample.labels
    }
    assert found["qs_node_up", "a"] == 1 and found["qs_node_up", "c"] == 0
    assert found["qs_node_queries", "a"] == 1200 and found["qs_node_errors", "b"] == 3
    assert found["qs_node_response_p99_seconds", "b"] == pytest.approx(0.009)
    assert found["qs_node_silent_seconds", "b"] == 4.0
    with exporter.case("BS 2") as follow:
        follow(replace(MEASURING, nodes=()))
    assert "qs_node" not in generate_latest(exporter.registry).decode()


def test_the_live_page_is_told_of_each_node():
    live = LivePage()
    assert json.loads(live.state())["nodes"] == {"said": "", "lines": []}
    with live.case("BS 1") as follow:
        follow(replace(MEASURING, nodes=(*MANY, C)))
        nodes = json.loads(live.state())["nodes"]
        assert nodes["said"].startswith("1,001 nodes") and len(nodes["lines"]) == MOST_NODES
        assert nodes["lines"][0] | {"completed": "", "p99": ""} == {
            "node": "c",
            "doing": "lost",
            "tone": "bad",
            "per_s": "0",
            "p99": "",
            "completed": "",
            "errors": "0",
        }
    assert json.loads(live.state())["nodes"]["lines"] == []
