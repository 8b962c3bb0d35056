"""What servers of language models tell of themselves, by each one's names."""

from __future__ import annotations

import pytest

from qs.remote.metrics import WELL_KNOWN, Wanted, parsed
from qs.remote.sampler import Readings
from qs.remote.server_side import metric_entries
from qs.result.cases import named
from qs.result.llm_server import both_told, counts, states
from qs.result.llm_server_words import llm_server_words, states_table, times_table
from qs.result.measure_entry import MeasureEntry
from qs.result.row import Mode, Row
from qs.result.server_entry import ServerEntry
from qs.result.server_words import beside_words, notes_of
from qs.result.tokens_entry import TokensEntry
from qs.result.tokens_words import token_facts
from qs.result.verdict import Verdict

NS = 1_000_000_000


def histogram(name: str, count: int, total: float, labels: str = "") -> str:
    return (
        f"# TYPE {name} histogram\n"
        f'{name}_bucket{{le="1.0"{labels and "," + labels}}} {count}\n'
        f'{name}_bucket{{le="+Inf"{labels and "," + labels}}} {count}\n'
        f"{name}_count{{{labels}}} {count}\n{name}_sum{{{labels}}} {total}\n"
    )


def gauge(name: str, value: float, labels: str = "") -> str:
    return f"# TYPE {name} gauge\n{name}{{{labels}}} {value}\n"


def counter(name: str, value: float) -> str:
    return f"# TYPE {name} counter\n{name} {value}\n"


def row_of(*pages: str, measures: dict[str, MeasureEntry] | None = None) -> Row:
    """A case during which these pages were read, a second apart."""
    readings: Readings = Readings()
    for at, text in enumerate(pages):
        page = parsed(text, Wanted())
        assert not page.faults
        readings.values.append(page)
        readings.at_ns.append(at * NS)
    return Row(
        batch_size=1,
        items_per_s=10.0,
        mean_ms=120.0,
        p99_ms=None,
        mode=Mode.QS,
        verdict=Verdict.VALID,
        reasons=[],
        warnings=[],
        server=ServerEntry(metrics=metric_entries(readings, 0)),
        measures=measures,
    )


VLLM = [
    gauge("vllm:num_requests_running", running, 'model_name="m",engine="0"')
    + gauge("vllm:num_requests_waiting", waiting)
    + gauge("vllm:kv_cache_usage_perc", used)
    + counter("vllm:num_preemptions_total", undone)
    + histogram("vllm:time_to_first_token_seconds", first, first * 0.05)
    + histogram("vllm:request_queue_time_seconds", first, first * 0.01)
    for running, waiting, used, undone, first in ((0, 0, 0.0, 2, 10), (8, 3, 0.5, 5, 30))
]
SGLANG = [
    gauge("sglang:num_running_reqs", running)
    + gauge("sglang:num_queue_reqs", 1)
    + gauge("sglang:token_usage", 0.25)
    + histogram("sglang:time_to_first_token_seconds", running + 1, (running + 1) * 0.02)
    for running in (2, 4)
]
TGI = [
    gauge("tgi_batch_current_size", 6)
    + gauge("tgi_queue_size", 2)
    + histogram("tgi_request_duration", seen, seen * 0.5)
    for seen in (1, 5)
]
LLAMA = [
    gauge("llamacpp:requests_processing", 1) + gauge("llamacpp:requests_deferred", deferred)
    for deferred in (0, 4)
]
TRITON = [
    gauge("nv_trt_llm_request_metrics", 5, 'request_type="scheduled"')
    + gauge("nv_trt_llm_request_metrics", 7, 'request_type="waiting"').split("\n")[1]
    + "\n"
    + gauge("nv_trt_llm_kv_cache_block_metrics", 0.75, 'kv_cache_block_type="fraction"')
] * 2


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        (VLLM, {"running": (4, 8), "queue": (1.5, 3), "KV cache used": (0.25, 0.5)}),
        (SGLANG, {"running": (3, 4), "queue": (1, 1), "KV cache used": (0.25, 0.25)}),
        (TGI, {"running": (6, 6), "queue": (2, 2)}),
        (LLAMA, {"running": (1, 1), "queue": (2, 4)}),
        (TRITON, {"running": (5, 5), "queue": (7, 7), "KV cache used": (0.75, 0.75)}),
    ],
    ids=["vllm", "sglang", "tgi", "llama.cpp", "triton"],
)
def test_each_server_by_its_own_names(pages, told):
    found = {each.name: (each.mean, each.most) for each in states(row_of(*pages))}
    assert found == told


def test_preemptions_are_those_of_the_case_alone():
    assert [(each.name, each.number) for each in counts(row_of(*VLLM))] == [("preemptions", 3)]


def test_the_servers_time_beside_the_clients():
    row = row_of(*VLLM, measures={"ttft_sent": MeasureEntry(mean=57.0)})
    found = {each.name: each for each in both_told(row)}
    assert found["TTFT"].server_ms == pytest.approx(50.0)
    assert found["TTFT"].difference_ms == pytest.approx(7.0)
    assert found["queue"].server_ms == pytest.approx(10.0)
    assert found["queue"].difference_ms is None  # which the client cannot see


def test_a_whole_request_is_compared_with_the_response():
    found = both_told(row_of(*TGI))
    assert [(each.name, each.server_ms, each.client_ms) for each in found] == [
        ("whole request", pytest.approx(500.0), 120.0)
    ]


def test_the_engines_of_one_server_are_taken_together():
    def page(first: int, second: int) -> str:
        lines = gauge("vllm:num_requests_running", first, 'engine="0"')
        lines += f'vllm:num_requests_running{{engine="1"}} {second}\n'
        lines += gauge("vllm:kv_cache_usage_perc", 0.2, 'engine="0"')
        return lines + 'vllm:kv_cache_usage_perc{engine="1"} 0.9\n'

    found = {each.name: each.most for each in states(row_of(page(1, 2), page(3, 4)))}
    assert found == {"running": 7, "KV cache used": 0.9}


def test_a_server_that_tells_nothing_has_no_words():
    row = row_of(counter("process_cpu_seconds_total", 1), counter("process_cpu_seconds_total", 2))
    assert llm_server_words(row) == ""
    assert not states_table(named([row]))
    assert not times_table(named([row]))
    assert states(row.changed(server=None)) == []


def test_words_and_tables():
    row = row_of(*VLLM, measures={"ttft_sent": MeasureEntry(mean=57.0)})
    said = llm_server_words(row)
    assert "running 4 (most 8)" in said
    assert "KV cache used 25 % (most 50 %)" in said
    assert "preemptions 3" in said
    assert "TTFT 50 ms by the server, 57 ms by the client" in said
    table = times_table(named([row]))
    assert table.lines[0][1:5] == ("TTFT", "50", "57", "7")
    assert len(states_table(named([row])).lines) == 4


def test_all_its_names_are_read_where_nobody_names_metrics():
    wanted = Wanted()
    for name in ("vllm:kv_cache_usage_perc", "vllm:num_preemptions_total", "tgi_queue_size",
                 "sglang:token_usage", "llamacpp:requests_deferred",
                 "nv_trt_llm_kv_cache_block_metrics"):  # fmt: skip
        assert wanted.takes(name), name
    assert len(set(WELL_KNOWN)) == len(WELL_KNOWN)


def test_it_is_a_fact_of_a_language_models_case():
    row = row_of(*VLLM).changed(tokens=TokensEntry())
    assert dict(token_facts(named([row])))["server's metrics"] == llm_server_words(row)


def test_that_an_api_has_no_statistics_is_no_news():
    row = row_of(counter("process_cpu_seconds_total", 1)).changed(tokens=TokensEntry())
    server = row.server.changed(no_statistics="openai+http:// has no statistics")
    assert beside_words(row.changed(server=server)) == ""
    assert notes_of(named([row.changed(server=server)])) == []
    assert "no statistics" in beside_words(row.changed(server=server, tokens=None))
