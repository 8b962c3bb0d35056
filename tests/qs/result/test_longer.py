"""Commands of a result that measure longer."""

from __future__ import annotations

import pytest

from qs.result.longer import longer_command, rounded_s, with_option


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("/x/bin/qs run --task t", "qs run --task t --duration 12s"),
        ("qs run --task t --iterations 300", "qs run --task t --duration 12s"),
        (
            "qs run --task t --iterations=300 --clients 2",
            "qs run --task t --clients 2 --duration 12s",
        ),
        ("qs load m.onnx --until-stable 5% --time_limit 9", "qs load m.onnx --duration 12s"),
        ("qs load m.onnx -d 5s -q --json", "qs load m.onnx --duration 12s"),
        ("qs load m.onnx -d5s --rate 9", "qs load m.onnx --rate 9 --duration 12s"),
        ("qs load 'm' --stages 1s:5", None),
        ("qs run --task t -n 3 --duration", "qs run --task t -n 3 --duration 12s"),
        ("qs", None),
        ("", None),
    ],
)
def test_the_command_that_measures_longer(typed, again):
    assert longer_command(typed.split(), 11.2) == again


@pytest.mark.parametrize(
    ("seconds", "typed"), [(0.1, 3), (3.2, 4), (11.2, 12), (99.5, 100), (101, 110), (1234, 1300)]
)
def test_a_duration_that_a_person_would_type(seconds, typed):
    assert rounded_s(seconds) == typed


def test_a_word_with_blanks_stays_one_word():
    typed = ["qs", "run", "-d", "1s", "--time-limit", "3", "--out", "a b"]
    assert longer_command(typed, 12.3) == "qs run --out 'a b' --duration 13s"


def test_another_option_in_place_of_the_typed_one():
    typed = ["qs", "ci", "a", "b", "--budget=1m"]
    assert with_option(typed, "--budget", "5m", ("--budget",)) == "qs ci a b --budget 5m"
    assert with_option([], "--budget", "5m", ("--budget",)) is None
