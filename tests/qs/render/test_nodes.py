"""The nodes of a case side by side: which stand out, in every view alike."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from qs.render.html.curves import charts_of
from qs.render.html.nodes_chart import node_points
from qs.render.html.nodes_over_time import ROWS, series_points
from qs.render.html.page import result_page
from qs.render.junit import junit
from qs.render.markdown import markdown
from qs.render.nodes import Health, beside, sides_of, standing_out
from qs.render.pdf import pdf
from qs.render.table import csv_table, records
from qs.render.terminal import print_story
from qs.result.node_facts import together, unlike, unlike_words
from qs.result.nodes_entry import NodeEntry
from qs.result.saved import parsed
from qs.result.story import story_of
from tests.qs.result.made import small
from tests.qs.result.made_nodes import node, row, spread


def entry(name="a", **more):
    return NodeEntry(name=name, completed=10_000, **more)


@pytest.mark.parametrize(
    ("p50", "p99", "health"),
    [
        ((2.0, 2.0, 2.1), (4.0, 4.0, 4.2), [Health.FINE] * 3),
        ((2.0, 2.0, 3.1), (4.0, 4.0, 4.2), [Health.FINE, Health.FINE, Health.SLOW]),
        ((2.0, 2.0, 2.0), (4.0, 4.0, 8.1), [Health.FINE, Health.FINE, Health.SLOW]),
        ((2.0, 3.2), (4.0, 4.0), [Health.FINE, Health.SLOW]),
        ((2.0,), (4.0,), [Health.FINE]),
        ((None, None), (None, 4.0), [Health.FINE] * 2),
        ((0.0, 0.0), (0.0, 0.0), [Health.FINE] * 2),
        ((1e308, 1e308, 1e-300), (1.0, 1.0, 1.0), [Health.SLOW, Health.SLOW, Health.FINE]),
    ],
)
def test_a_node_is_slow_beside_the_others(p50, p99, health):
    nodes = [entry(str(at), p50_ms=m, p99_ms=t) for at, (m, t) in enumerate(zip(p50, p99))]
    assert [each.health for each in beside(nodes)] == health


def test_few_requests_make_no_node_slow():
    nodes = [entry("a", p50_ms=1.0), NodeEntry(name="b", completed=50, p50_ms=9.0)]
    assert {each.health for each in beside(nodes)} == {Health.FINE}


def test_lost_nodes_come_first_then_the_slow():
    nodes = beside([NodeEntry.model_validate(node(at, slow=1 + (at == 2))) for at in range(4)])
    lost = beside([NodeEntry.model_validate(node(3, lost="gone"))])[0]
    order = standing_out([*nodes, lost])
    assert (order[0].entry.lost, order[1].entry.name) == ("gone", "worker-2")


def test_what_is_left_out_is_said():
    (side,) = sides_of(story_of(spread(1000, 33, 700)).cases, 16)
    assert (len(side.nodes), side.of) == (16, 1000)
    assert [each.entry.name for each in side.nodes[:2]] == ["worker-700", "worker-33"]
    assert side.left_out.startswith("984 more nodes between them: rate 98")


@pytest.mark.parametrize("count", [1, 2, 12, 1000])
def test_every_view_draws_any_number_of_nodes(count, capsys):
    slow, lost = (count // 3, count - 1) if count > 2 else (None, None)
    story = story_of(spread(count, slow, lost))
    page = result_page(story).decode()
    assert "Node by node" in page and len(page) < 2_000_000
    text = markdown(story)
    ElementTree.fromstring(junit(story))
    stream = io.StringIO()
    print_story(story, None, stream)
    for said in (page, text.replace("\\", ""), stream.getvalue(), junit(story).decode()):
        assert f"worker-{slow or 0}" in said
        if lost is not None:
            assert "lost after 13 s: its Ray node died: killed" in said
    assert f"nodes: {count:,} node" in stream.getvalue()
    if count > 50:
        assert "more nodes between them" in stream.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 60])
def test_a_pdf_has_them_too(count):
    assert pdf(story_of(spread(count, 1, 0))).startswith(b"%PDF")


def test_tables_of_rows_say_how_many_there_were():
    (line,) = csv.DictReader(io.StringIO(csv_table(records(spread(3, lost=1))).decode()))
    assert (line["node_count"], line["nodes_lost"]) == ("3", "1")
    assert float(line["start_skew_ms"]) == 0.2
    assert b"node_count" not in csv_table(records(small([{}])))


def test_a_map_has_a_row_for_those_that_stand_out():
    points = series_points(story_of(spread(200, 5)).cases)
    names = list(dict.fromkeys(point["node"] for point in points))
    assert len(names) == ROWS and names[0] == "worker-5"


@pytest.mark.parametrize(("cases", "nodes"), [(3, 1000), (20, 100)])
def test_a_page_of_many_cases_on_many_nodes_stays_small(cases, nodes):
    every = [node(each, slow=1 + 2 * (each == 3)) for each in range(nodes)]
    rows = [row(every, BS=case + 1) for case in range(cases)]
    story = story_of(small(rows, Kind="load"))
    assert len(result_page(story)) < 2_000_000
    points = node_points(story.cases)
    assert {point["case"] for point in points} == {f"BS {each + 1}" for each in range(cases)}
    assert sum(point["state"] == Health.SLOW for point in points) == cases


def hostile() -> dict:
    """A saved result whose nodes are made up to break pages."""
    made = json.loads(spread(3, 1, 2).model_dump_json(by_alias=True, exclude_unset=True))
    nodes = made["Performance"][0]["Nodes"]
    nodes[0] |= {
        "name": "</script><script>alert(1)</script>" * 40,
        "queries_per_s": 1e308,
        "p99_ms": -1e308,
        "p50_ms": 0,
        "lost": "<img src=x onerror=alert(1)>\x1b[2J" * 100,
        "lost_at_s": -1e300,
        "kept_until_s": 1e300,
        "completed": -(2**63),
        "start_skew_ms": 1e308,
        "clock": {"offset_ms": 1e308, "uncertainty_ms": 1e308, "drift_ppm": -1e308},
        "cpu_use": {"elapsed_s": 1e-308, "host_cpus": 1, "host_busy_s": 1e308},
        "facts": {"cpu_model": ["<b>"] * 999, "versions": {"<i>": {"a": 1}}, "environment": 3},
        "log": "../../../etc/passwd",
        "series": {
            "at_s": [1e308, -1e308],
            "end_s": -1,
            "per_s": [1e308],
            "p99_ms": [],
            "errors": [],
        },
    }
    nodes[1] |= {"series": {"at_s": [0.0] * 9, "per_s": [None] * 9, "p99_ms": [1e308] * 9}}
    nodes.append({"name": ""})
    nodes += [{"name": "same"}] * 3
    return made


def test_a_hostile_result_breaks_no_view(tmp_path):
    story = story_of(parsed(json.dumps(hostile()).encode(), "made up"), tmp_path)
    page = result_page(story).decode()
    assert "<script>alert(1)" not in page and "<img src=x" not in page
    assert "passwd" not in story.files
    stream = io.StringIO()
    print_story(story, None, stream)
    assert "\x1b[2J" not in stream.getvalue()
    assert "\x1b" not in markdown(story)
    ElementTree.fromstring(junit(story))
    json.dumps(charts_of(story), allow_nan=False)
    assert csv_table(records(story.result))


def test_in_what_machines_differ():
    machines = {
        "a": {"cpu_model": "EPYC", "cores": 8, "python": "3.11.2", "machine": "1"},
        "b": {"cpu_model": "EPYC", "cores": 4, "versions": {"numpy": "2.1"}, "machine": "2"},
        "c": {"cpu_model": "EPYC", "cores": 8, "versions": {"numpy": "2.0"}, "machine": "2"},
        "d": {"environment": 3, "versions": None, "cpu_model": None},
    }
    assert unlike(machines) == {
        "cores": {"8": ["a", "c"], "4": ["b"]},
        "numpy": {"2.1": ["b"], "2.0": ["c"]},
    }
    assert list(unlike_words(machines))[0] == "cores: 8 on a and c; 4 on b"
    assert together(machines) == [["b", "c"]]


def test_memory_differs_by_more_than_what_the_kernel_keeps():
    assert not unlike({"a": {"memory_bytes": 64e9}, "b": {"memory_bytes": 65e9}})
    assert unlike({"a": {"memory_bytes": 64e9}, "b": {"memory_bytes": 128e9}})
