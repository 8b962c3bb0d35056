"""Vendors' own numbers: read under every spelling, refused where they cannot be read, doubted where
they cannot be true.
"""

from __future__ import annotations

import pytest

from qs.result import vendor_rows
from qs.result.doubts import doubts, in_flight
from qs.result.row import Mode, Row, Verdict
from qs.result.vendor_numbers import EXPECTED, read


@pytest.mark.parametrize(
    ("key", "value", "name", "number"),
    [
        ("QPS", 476.2, "QPS", 476.2),
        ("qps", "1,234.5", "QPS", 1234.5),
        ("Throughput", "476 items/s", "QPS", 476.0),
        ("AVG Latency", 2.1, "AVG Latency", 2.1),
        ("AVG_Latency", "2.1 ms", "AVG Latency", 2.1),
        ("avg-latency", "2100us", "AVG Latency", 2.1),
        ("Avg Latency(ms)", 2, "AVG Latency", 2.0),
        ("mean latency", "0.0021 s", "AVG Latency", 2.1),
        ("P99 Latency", "2.32e0", "P99 Latency", 2.32),
        ("P99_Latency", 2, "P99 Latency", 2.0),
        ("p99_latency_us", 2320, "P99 Latency", 2.32),
        ("latency_p99", 3.5, "P99 Latency", 3.5),
        ("p99.9 latency", 5, "P99.9 Latency", 5.0),
        ("BS", "8", "BS", 8),
        ("batch_size", 8.0, "BS", 8),
        ("iterations", 100, "Iterations", 100),
    ],
)
def test_spellings(key, value, name, number):
    found = read({key: value})
    assert found.faults == []
    assert found.known == {name: pytest.approx(number)}


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("QPS", "fast", "a number"),
        ("QPS", None, "a number"),
        ("QPS", True, "a number"),
        ("QPS", -1, "above 0"),
        ("QPS", 0, "above 0"),
        ("QPS", float("nan"), "above 0"),
        ("QPS", "inf", "above 0"),
        ("QPS", "5 ms", "items per second"),
        ("AVG Latency", "5 apples", "a time in"),
        ("AVG Latency(us)", "5 ms", "its name says us"),
        ("P99 Latency", [1, 2], "a number"),
        ("BS", 2.5, "a whole number"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_key(key, value, allowed):
    found = read({key: value})
    assert found.known == {}
    (fault,) = found.faults
    assert key in fault and allowed in fault


def test_two_spellings_of_one_number_that_disagree_are_a_fault():
    assert read({"AVG Latency": 1.0, "AVG_Latency": 1.0}).faults == []
    (fault,) = read({"AVG Latency": 1.0, "AVG_Latency": 2.0}).faults
    assert "AVG_Latency" in fault


def test_keys_of_the_vendors_own_are_no_fault():
    found = read({"QPS": 1, "power_w": "75 W", "card": 3})
    assert (found.known, found.faults) == ({"QPS": 1.0}, [])
    assert found.missing == ["AVG Latency", "P99 Latency"]


@pytest.mark.parametrize(
    ("numbers", "codes"),
    [
        # 3 clients at 10 ms each and batch 2: 600 items/s
        ({"QPS": 600, "AVG Latency": 10, "P99 Latency": 12}, []),
        ({"QPS": 640, "AVG Latency": 10, "P99 Latency": 12}, []),
        ({"QPS": 1200, "AVG Latency": 10, "P99 Latency": 12}, ["littles-law"]),
        (
            {"QPS": 600, "AVG Latency": 0.01, "P99 Latency": 0.012},
            ["littles-law"],
        ),  # seconds taken for ms
        ({"QPS": 600, "AVG Latency": 10, "P99 Latency": 9}, ["p99-under-average"]),
        ({"QPS": 600, "AVG Latency": 10, "P99 Latency": 9.995}, []),  # rounded
        ({"QPS": 600, "AVG Latency": 10, "P99 Latency": 12, "Max Latency": 12}, ["p99-is-maximum"]),
        ({"QPS": 600, "AVG Latency": 10, "P99 Latency": 12, "Max Latency": 11}, ["out-of-order"]),
        ({"QPS": 600, "AVG Latency": 10, "P99 Latency": 12, "Completed": 100}, ["p99-is-maximum"]),
        ({"QPS": 600}, []),
        ({}, []),
    ],
)
def test_doubts(numbers, codes):
    assert [
        doubt.code for doubt in doubts(numbers, batch_size=2, clients=3, iterations=1000)
    ] == codes


def test_a_hundred_samples_have_no_p99():
    numbers = {"QPS": 600, "AVG Latency": 10, "P99 Latency": 12}
    (doubt,) = doubts(numbers, batch_size=2, clients=3, iterations=100)
    assert doubt.code == "p99-is-maximum" and not doubt.contradiction
    assert doubts(numbers, batch_size=2, clients=3, iterations=101) == []


def test_littles_law_counts_batches():
    assert in_flight({"QPS": 600, "AVG Latency": 10}, 2) == pytest.approx(3)
    assert in_flight({"QPS": 600}, 2) is None


def test_a_row_keeps_what_the_vendor_said():
    given = {"QPS": "600", "AVG_Latency": 10, "P99_Latency": 9, "card": 3}
    row = vendor_rows.vendor_row(given, 2, 3, 1000)
    assert (row.mode, row.items_per_s, row.mean_ms, row.p99_ms) == (Mode.VENDOR, 600.0, 10.0, 9.0)
    assert (row.verdict, row.flags) == (Verdict.INVALID, ["p99-under-average"])
    assert row.vendor_answer == given


def test_no_numbers_is_invalid_and_missing_latencies_are_said():
    row = vendor_rows.vendor_row({}, 1, 3, 100)
    assert row.reasons == ["benchmark gave no QPS"]
    assert [row.to_dict()[name] for name in EXPECTED] == [None] * 3
    row = vendor_rows.vendor_row({"QPS": 5}, 1, 3, 100)
    assert row.valid
    assert "benchmark gave no AVG Latency and no P99 Latency" in row.warnings


@pytest.mark.parametrize(("asked", "stated"), [(4, 4), (2, None), (None, None)])
def test_another_batch_size_than_asked_for_is_stated(asked, stated):
    row = vendor_rows.vendor_row({"QPS": 5}, 2, 3, 100, asked)
    assert (row.batch_size, row.requested_batch_size) == (2, stated)
    assert ("Requested BS" in row.to_dict()) == (stated is not None)


OURS = Row(
    batch_size=1,
    items_per_s=1000.0,
    mean_ms=2.0,
    p99_ms=None,
    mode=Mode.QS,
    verdict=Verdict.VALID,
    reasons=[],
    warnings=["w"],
)


def test_an_audit_states_differences_in_percent_and_leaves_our_verdict():
    part = vendor_rows.vendor_part(
        {"QPS": 1500, "AVG Latency": 1.5, "P99 Latency": 1.0}, 1, 3, 1000
    )
    row = vendor_rows.audited(OURS, part)
    assert row.mode is Mode.AUDIT and row.valid
    assert row.difference_percent == {
        "QPS": pytest.approx(50),
        "AVG Latency": pytest.approx(-25),
        "P99 Latency": None,
    }
    assert row.vendor.items_per_s == 1500
    assert row.warnings[0] == "w"
    assert any("is under AVG Latency" in text for text in row.warnings)


def test_an_audit_without_numbers_says_why():
    row = vendor_rows.not_audited(OURS, "no card")
    assert row.mode is Mode.AUDIT and row.valid
    assert row.vendor.to_dict() == {"Not Measured": "no card", "Warnings": ["no card"]}
    assert row.warnings == ["w", "the backend's own numbers: no card"]
    assert set(row.difference_percent.values()) == {None}
