"""Numbers and times as people read them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.base.words import (
    completed,
    counted,
    data_size,
    number,
    percent,
    rate,
    short_time,
    signed_percent,
    span,
    sparkline,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "n/a"),
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (3, "3"),
        (-3, "-3"),
        (16384, "16,384"),
        (10**18, "1,000,000,000,000,000,000"),
        (True, "True"),
        ("thread", "thread"),
        (0.12345, "0.123"),
        (0.0005, "0.0005"),
        (0.0004567, "0.000457"),
        (0.00005, "0.00005"),
        (0.00001, "0.00001"),
        (0.000009, "9e-6"),
        (2.98e-07, "2.98e-7"),
        (-1.234e-12, "-1.23e-12"),
        (5e-324, "4.94e-324"),
        (1.0, "1"),
        (1.27, "1.27"),
        (9.999, "10"),
        (12.345, "12.3"),
        (-12.345, "-12.3"),
        (99.94, "99.9"),
        (99.96, "100"),
        (100.0, "100"),
        (123.45, "123.5"),
        (-999.94, "-999.9"),
        (999.96, "1,000"),
        (1270.3, "1,270"),
        (12345.6, "12,346"),
        (-12345.6, "-12,346"),
        (1.23e14, "123,000,000,000,000"),
        (1.23e15, "1.23e15"),
        (1.7976931348623157e308, "1.798e308"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "NaN"),
        (np.float32(0.5), "0.5"),
        (np.float64(1270.3), "1,270"),
        (np.int64(1234), "1,234"),
    ],
)
def test_a_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.987654321, 6, "0.987654"),
        (1234.5, 6, "1,234.5"),
        (123456.7, 3, "123,457"),
        (250.0, 6, "250"),
        (99.9, 6, "99.9"),
        (123.45, 3, "123"),
        (0.0213, 1, "0.02"),
        (None, 6, "n/a"),
        (1234, 2, "1,234"),
    ],
)
def test_a_number_of_so_many_digits(value, digits, text):
    assert number(value, digits) == text


@given(st.floats(1e-5, 1e14), st.integers(1, 8))
def test_a_number_is_within_its_last_digit_and_has_no_exponent(value, digits):
    text = number(value, digits)
    assert set(text) <= set("0123456789.,")
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))


@pytest.mark.parametrize(
    ("planned", "done", "text"),
    [
        (300, 300, "300"),
        (300, 97, "97 of 300"),
        (3000, 1500, "1,500 of 3,000"),
        (None, 97, "97"),
        (None, None, "n/a"),
    ],
)
def test_completed_says_of_how_many(planned, done, text):
    assert completed(planned, done) == text


def test_a_count_has_its_noun():
    assert [counted(count, "client") for count in (0, 1, 2, 1000)] == [
        "0 clients",
        "1 client",
        "2 clients",
        "1,000 clients",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "40 ms"),
        (1.4, "1.4 s"),
        (9.96, "10 s"),
        (12.4, "12 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_span(seconds, expected):
    assert span(seconds) == expected


@pytest.mark.parametrize(
    ("per_s", "expected"), [(5.123, "5.12"), (0.21, "0.21"), (123.4, "123"), (1234.5, "1,234")]
)
def test_rate(per_s, expected):
    assert rate(per_s) == expected


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.000213, "0.021 %"),
        (0.0213, "2.1 %"),
        (0.0999, "10 %"),
        (0.123, "12 %"),
        (1, "100 %"),
        (12.5, "1,250 %"),
    ],
)
def test_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "n/a"), (0.098, "+9.8 %"), (-0.5, "-50.0 %"), (0.0, "+0.0 %"), (12.5, "+1,250.0 %")],
)
def test_a_change_has_its_sign(share, text):
    assert signed_percent(share) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(870, "870 ns"), (12_500, "12.5 us"), (3_400_000, "3.4 ms"), (1_270_000_000, "1,270 ms")],
)
def test_a_short_time_in_the_unit_that_fits(nanoseconds, text):
    assert short_time(nanoseconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 bytes"),
        (512, "512 bytes"),
        (1_500, "1.5 kB"),
        (64_000_000, "64 MB"),
        (999_600, "1 MB"),
        (1_270_000_000, "1.27 GB"),
        (2_500_000_000_000, "2.5 TB"),
    ],
)
def test_a_size_in_the_unit_that_fits(amount, text):
    assert data_size(amount) == text


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([5, 5], "▄▄"),
        ([1, 8, 1], "▁█▁"),
        (list(range(100)), "▁▁▁▂▂▂▃▃▃▃▄▄▅▅▅▆▆▆▆▇▇▇██"),
    ],
)
def test_bars(values, bars):
    assert len(sparkline(values)) == len(bars) == min(len(values), 24)
    assert sparkline(values)[0] == bars[0] and sparkline(values)[-1] == bars[-1]
    if len(values) < 10:
        assert sparkline(values) == bars
