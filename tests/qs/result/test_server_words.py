"""A served model in every view: which server, its times beside the client's, the client's limit."""

from __future__ import annotations

import io
from typing import Any

import pytest

from qs.render.html.curves import charts_of
from qs.render.html.page import result_page
from qs.render.html.server_chart import MOST_CHARTED, metric_points
from qs.render.markdown import markdown
from qs.render.table import records
from qs.render.terminal import print_story
from qs.result.server_entry import ServedEntry
from qs.result.server_words import (
    MOST_CASES,
    batches_table,
    beside_words,
    client_words,
    parts_table,
    served_words,
    server_facts,
)
from qs.result.story import story_of
from tests.qs.result.made import EVIL, small

SERVED = {
    "address": "10.0.0.1:8000",
    "server": "triton",
    "server_version": "2.51.0",
    "model": "m",
    "model_version": "3",
    "platform": "onnx",
    "instance_groups": ["2 x CPU"],
    "protocol": "KServe v2 over HTTP",
    "tensors": "binary",
    "compression": "off",
    "header_names": ["authorization"],
}
CLIENT = {
    "limit_per_s": 20_000.0,
    "share_of_limit": 0.05,
    "cpu_us": 50.0,
    "p50_ms": 0.06,
    "share_of_response": 0.015,
    "processes": 1,
    "in_flight": 4,
}


def parts(**ms: float) -> list[dict[str, Any]]:
    whole = sum(ms.values())
    return [
        {"name": name.replace("_", " "), "mean_ms": each, "share": each / whole}
        for name, each in ms.items()
    ]


def row(**more: Any) -> dict[str, Any]:
    series = {"at_s": [0, 1, 2], "end_s": 3, **dict.fromkeys(("queue_ms", "compute_ms"), [1] * 3)}
    return {
        "QPS": 1_000.0,
        "Wall Time": 3.0,
        "Completed": 3_000,
        "AVG Latency": 4.0,
        "P50 Latency": 4.0,
        "Server": {
            "statistics": {
                "requests": 3_000,
                "mean_batch_size": 2.5,
                "batch_sizes": {"2": 600, "3": 600},
                "cache_hits": 0,
            },
            "parts": parts(network_and_client=0.5, queue=1.5, compute_infer=2.0, compute_input=0),
            "series": series | {"requests_per_s": [1_000] * 3, "request_ms": [3.5] * 3},
            "from_s": 0.0,
            "to_s": 3.0,
        },
        "Client": CLIENT,
        "Counts": {"connections": 4, "opened while measuring": 0, "replaced": 0, "sent again": 1},
        "Parts": {"wait": {"mean_ms": 0.1, "p50_ms": 0.1}},
        "Server Queue": 1.5,
    } | more


def test_the_facts_in_words():
    story = story_of(small([row()], Served=SERVED))
    facts = dict(story.facts)
    assert facts["server"] == (
        "triton 2.51.0 at 10.0.0.1:8000; model m version 3 (onnx); instance groups 2 x CPU; "
        "KServe v2 over HTTP with binary tensors; compression off; no TLS; headers authorization"
    )
    assert facts["server beside client"] == (
        "of 4 ms on average: network and client 0.5 ms (12 %), queue 1.5 ms (38 %), "
        "compute infer 2 ms (50 %); batches of 2.5 on average"
    )
    assert facts["client"] == (
        "at most 20,000 requests/s from 1 process, of which this case has 5 %; 60 us a round trip "
        "to a server that does nothing, 1.5 % of the median response time"
    )
    assert facts["connections"] == "4 opened, 0 opened while measuring, 1 sent again"


def test_several_cases_are_named_and_some_are_left_to_the_tables():
    few = small([row(), row(BS=2, Client=CLIENT | {"p50_ms": 0.1})], Served=SERVED)
    facts = dict(story_of(few).facts)
    assert facts["connections"] == "4 opened, 0 opened while measuring, 1 sent again"
    assert facts["client"].startswith("BS 1: at most") and "; BS 2: at most" in facts["client"]
    many = [row(BS=size, Counts={"connections": size}) for size in range(1, MOST_CASES + 4)]
    said = dict(story_of(small(many)).facts)["connections"]
    assert said.endswith(f"BS {MOST_CASES}: {MOST_CASES} opened; and 3 more cases")


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (None, ""),
        ({"no_statistics": "mlserver does not announce it"}, "not measured: mlserver does not"),
        ({"not_split": "the server lies"}, "not measured: the server lies"),
    ],
)
def test_what_was_not_measured_says_why(server, words):
    (found,) = small([row(Server=server)]).performance
    assert beside_words(found).startswith(words)


def test_a_clients_limit_that_was_not_measured_says_why():
    (found,) = small([row(Client={"not_measured": "no null server"})]).performance
    assert client_words(found) == "its own limit is not measured: no null server"


def test_a_server_that_says_nothing_of_itself():
    assert served_words(ServedEntry(url="http://h/p")) == (
        "unnamed server at http://h/p; compression off; no TLS"
    )


def test_tables_have_every_case_and_leave_out_what_says_nothing():
    cases = story_of(small([row(), row(BS=2, Server=None)])).cases
    table = parts_table(cases)
    assert table.headings[:5] == ("case", "p50 ms", "mean ms", "network and client ms", "queue ms")
    assert [line[0] for line in table.lines] == ["BS 1"]
    assert batches_table(cases).headings[-1] == "batch sizes formed"
    assert batches_table(cases).lines[0][-1] == "2 (50 %), 3 (50 %)"
    assert not any("cache" in each for each in batches_table(cases).headings)


def test_every_view_has_them():
    story = story_of(small([row()], Served=SERVED))
    page = result_page(story).decode()
    assert "Server beside client" in page and "batch sizes formed" in page
    assert "server" in charts_of(story)
    assert "network and client ms" in markdown(story)
    printed = io.StringIO()
    print_story(story, None, printed)
    assert "server beside client: of 4 ms" in printed.getvalue().replace("\n", " ")
    assert records(story.result)[0]["server_queue_ms"] == 1.5


def test_a_result_without_a_server_has_none_of_it():
    story = story_of(small([{"QPS": 1.0}]))
    assert list(server_facts(None, story.cases)) == []
    assert "Server beside client" not in result_page(story).decode()
    assert "server" not in charts_of(story)


def metric(name: str, values: list[float]) -> dict[str, Any]:
    return {"name": name, "labels": {"a": EVIL}, "at_s": list(range(len(values))), "values": values}


def test_metrics_that_change_are_drawn_up_to_a_bound():
    metrics = [metric(f"m{at}", [1, 2, 3]) for at in range(MOST_CHARTED + 5)]
    metrics += [metric("same", [1, 1, 1]), metric("short", [1, 2])]
    cases = story_of(small([row(Server={"metrics": metrics})])).cases
    names = {point["metric"] for point in metric_points(cases)}
    assert len(names) == MOST_CHARTED
    assert all("same" not in name and "short" not in name for name in names)


def test_text_of_a_server_is_text():
    evil = {
        "metrics": [metric(EVIL, [1, 2, 3])],
        "faults": [EVIL],
        "not_split": EVIL,
        "no_metrics": EVIL * 100,
    }
    served = {name: EVIL for name in SERVED if name not in ("instance_groups", "header_names")}
    served |= {"instance_groups": [EVIL], "header_names": [EVIL]}
    found = small(
        [row(Server=evil, Client={"not_measured": EVIL}, Counts={EVIL: 1})], Served=served
    )
    page = result_page(story_of(found)).decode()
    assert EVIL not in page
    assert EVIL not in markdown(story_of(found))
