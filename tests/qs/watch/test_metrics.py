"""Metrics of a real run, scraped and parsed by Prometheus's own parser."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from qs.base.errors import UserError
from qs.engine import Progress
from qs.watch.metrics import EDGES_S, Exporter, bucket_counts, checked
from tests.qs.program import qs, refused
from tests.qs.results import read_result
from tests.qs.small_backend import environment

RUN = (
    "run",
    "--task",
    "digits-cnn-onnx-fp32",
    "--hardware_type",
    "CPU",
    "--batch_sizes",
    "1",
    "--clients",
    "1",
    "--quiet",
    "--no_history",
)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


def values(text: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name + "".join(
                f"[{sample.labels[name]}]" for name in ("le", "phase") if name in sample.labels
            )
            found[key] = sample.value
            assert (
                sample.labels["task"] == "digits-cnn-onnx-fp32"
                and sample.labels["backend"] == "CPU"
            )
    return found


@pytest.mark.slow
def test_scraped_while_it_runs(tmp_path):
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "qs",
        *RUN,
        "--rate",
        "200",
        "--duration",
        "4s",
        "--metrics",
        f":{port}",
        "--out",
        str(tmp_path),
    ]
    started = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
    seen = []
    try:
        deadline = time.monotonic() + 60
        while started.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/metrics", timeout=2
                ) as answer:
                    seen.append(values(answer.read().decode()))
            except OSError:
                pass
            time.sleep(0.2)
        assert started.wait(30) == 0, started.stderr.read()
    finally:
        started.kill()
        started.stderr.close()
    measuring = [each for each in seen if each.get("qs_phase[measure]") == 1]
    assert measuring, seen[-1:]
    counts = [each["qs_queries_total"] for each in measuring]
    assert counts == sorted(counts) and counts[-1] > counts[0] > 0
    last = measuring[-1]
    assert 50 < last["qs_queries_per_second"] < 500 and last["qs_response_p99_seconds"] > 0
    buckets = [last[f"qs_response_seconds_bucket[{edge}]"] for edge in EDGES_S]
    assert buckets == sorted(buckets)
    assert last["qs_response_seconds_count"] == last["qs_response_seconds_bucket[+Inf]"] > 0
    with pytest.raises(OSError):
        urllib.request.urlopen(
            f"http://127.0.0.1:{port}/metrics", timeout=2
        )  # it ends with the run


@pytest.mark.slow
def test_a_text_file_holds_the_whole_run_at_its_end(tmp_path):
    ran = qs(
        *RUN, "--iterations", "500", "--metrics", f"file:{tmp_path}/m/run.prom", "--out", tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    found = values((tmp_path / "m" / "run.prom").read_text())
    (row,) = read_result(tmp_path / "CPU" / "digits-cnn-onnx-fp32" / "result-fp32.json")[
        "Performance"
    ]
    assert (
        found["qs_queries_total"] == found["qs_response_seconds_count"] == row["Completed"] == 500
    )
    assert found["qs_response_seconds_sum"] == pytest.approx(
        500 * row["AVG Latency"] / 1e3, rel=0.01
    )
    assert found["qs_cases_total"] == 1


def test_every_value_is_in_its_bucket():
    from qs.engine import Histogram

    histogram = Histogram()
    given = np.array([50_000, 150_000, 3_000_000, 2_000_000_000, 200_000_000_000], np.int64)
    histogram.record(given)
    counts, sum_s = bucket_counts(histogram)
    assert sum(counts) == 5 and counts[0] == 1 and counts[-1] == 1
    assert sum_s == pytest.approx(given.sum() / 1e9, rel=1e-3)


def test_a_counter_never_goes_back_and_cases_add_up():
    from qs.engine import Histogram

    def seen(values: list[int]) -> Progress:
        histogram = Histogram()
        histogram.record(np.array(values, np.int64))
        return Progress("measure", completed=len(values), response=histogram)

    def count() -> float | None:
        labels = {"task": "t", "backend": "b"}
        total = exporter.registry.get_sample_value("qs_queries_total", labels)
        times = exporter.registry.get_sample_value("qs_response_seconds_count", labels)
        assert total == times
        return total

    exporter = Exporter("t", "b")
    assert count() == 0
    with exporter.case("first") as follow:
        follow(seen([50_000, 150_000]))
        follow(seen([50_000, 150_000]))  # the same again is nothing new
        assert count() == 2
        follow(seen([50_000]))
        assert count() == 2
    with exporter.case("second") as follow:
        assert count() == 2
        follow(seen([3_000_000]))
        assert count() == 3


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (":9464", ("127.0.0.1", 9464)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:9464", ("::1", 9464)),
    ],
)
def test_where(text, where):
    assert checked(text) == where


@pytest.mark.parametrize("text", ["9464x", ":0", ":99999", "file:", "host", ""])
def test_where_that_cannot_be(text):
    with pytest.raises(UserError, match="--metrics"):
        checked(text)


def test_a_port_that_is_taken_is_one_message_before_anything_is_measured(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(qs(*RUN, "--metrics", f":{port}", "--out", tmp_path / "r"), "--metrics", str(port))
    assert not (tmp_path / "r").exists()
