"""What the figures of several backends say together, from results that nobody measured: their
speeds are known.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from qs.comparison.sides import Side
from qs.lineup.comparing import compare_backends
from qs.lineup.page import lineup_page, picture
from qs.lineup.saying import sentence
from qs.lineup.writing import lines_of, markdown, to_dict
from qs.result.verdict import Verdict
from tests.qs.lineup.sides import side


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Sides by name and times, each written once."""
    root = tmp_path_factory.mktemp("backends")

    @cache
    def find(number: int, name: str, times: tuple) -> Side:
        return side(root / str(number), name, dict(times), number)

    def of(**backends: dict[int, float]) -> list[Side]:
        return [
            find(at, name, tuple(times.items()))
            for at, (name, times) in enumerate(backends.items(), start=1)
        ]

    return of


def said(sides) -> str:
    return sentence(compare_backends("small", sides, 3))


def test_the_fastest_of_three_at_each_batch_size(made):
    sides = made(CPU={1: 2.0, 4: 4.0}, OPENVINO={1: 1.5, 4: 3.0}, TORCH={1: 3.0, 4: 8.0})
    found = said(sides)
    assert found.startswith("OPENVINO is fastest everywhere (at 1: 1.3")
    assert "times CPU, " in found and "; at 4: 1.3" in found
    assert "; TORCH is slower everywhere (0.37" in found and "times the fastest)." in found
    assert "CPU is slower" not in found  # as the lead says


def test_alike_is_no_winner(made):
    sides = made(CPU={1: 2.0, 16: 4.0}, OPENVINO={1: 1.5, 16: 4.0})
    found = said(sides)
    assert found.startswith("OPENVINO is faster at batch size 1 (1.3")
    tie = "cannot be told apart at batch size 16"
    assert tie in found or "are equally fast at batch size 16, to within 2 %" in found
    assert "16: " not in found


def test_a_tie_is_a_tie_for_every_seed(tmp_path):
    """Two that are equal: three of forty intervals may lie beside the margin by chance, and none
    does here, as all of it would have to.
    """
    for seed in range(4):
        sides = [
            side(tmp_path / str(seed), name, {1: 2.0}, 10 * seed + at)
            for at, name in enumerate(("ONE", "TWO"))
        ]
        found = said(sides)
        assert "faster" not in found, found


def test_worse_answers_and_another_precision_stand_beside_the_speed(tmp_path):
    right = {"accuracy": {"Top-1": 0.971, "Data Percent": 100, "Items": 450}}
    sides = [
        side(tmp_path, "CPU", {1: 2.0}, 1, **right),
        side(
            tmp_path,
            "OPENVINO",
            {1: 1.0},
            2,
            accuracy={"Top-1": 0.951, "Data Percent": 100, "Items": 450},
            compile_result={"compile_precision": "BF16", "segments": []},
        ),
    ]
    found = said(sides)
    assert "precisions differ: CPU FP32, OPENVINO BF16" in found
    assert "OPENVINO is less accurate: Top-1 0.951 against 0.971 of CPU" in found
    lineup = compare_backends("small", sides, 3)
    assert "| CPU | FP32 | 0.971 |" in markdown(lineup)


def test_of_errors_less_is_better(tmp_path):
    sides = [
        side(tmp_path, name, {1: ms}, 1, accuracy={"RMSE": rmse, "Data Percent": 100})
        for name, ms, rmse in (("CPU", 2.0, 4.0), ("TORCH", 1.0, 3.9))
    ]
    assert "less accurate" not in said(sides)
    assert "CPU is less accurate" not in said(sides[::-1])


def test_one_that_failed_is_named_and_the_others_compared(made, tmp_path):
    sides = made(CPU={1: 2.0}, OPENVINO={1: 1.5})
    failed = side(tmp_path, "TORCH", {}, 3, reasons=["compile: RuntimeError: no"], status="failed")
    found = said([*sides, failed])
    assert found.startswith("OPENVINO is faster at batch size 1 (")
    assert found.endswith("; TORCH was not measured: compile: RuntimeError: no.")


def test_only_one_left_is_no_comparison(made, tmp_path):
    failed = side(tmp_path, "TORCH", {}, 3, reasons=["it broke"], status="failed")
    (cpu,) = made(CPU={1: 2.0})
    lineup = compare_backends("small", [cpu, failed], 3)
    assert sentence(lineup) == (
        "only CPU was measured, so nothing can be compared; TORCH was not measured: it broke."
    )
    assert b"only CPU was measured" in lineup_page(lineup, tmp_path)
    nothing = compare_backends("small", [failed], 3)
    assert sentence(nothing).startswith("no backend was measured")
    assert picture(nothing) is None


def test_an_invalid_case_is_left_out_and_said(made):
    cpu, other = made(CPU={1: 2.0, 4: 4.0}, OPENVINO={1: 1.5, 4: 3.0})
    rows = other.result.performance
    broken = rows[1].changed(verdict=Verdict.INVALID, reasons=["4 of 9 queries failed\nmore"])
    result = other.result.changed(performance=[rows[0], broken])
    third = replace(cpu, name="TORCH")
    lineup = compare_backends("small", [cpu, replace(other, result=result), third], 3)
    assert "OPENVINO is INVALID at batch size 4: 4 of 9 queries failed" in sentence(lineup)
    assert [len(case.entries) for case in lineup.cases] == [3, 2]
    assert lineup.cases[1].left_out == {"OPENVINO": "4 of 9 queries failed\nmore"}


def test_plain_data_and_the_table_say_the_same(made):
    lineup = compare_backends("small", made(CPU={1: 2.0}, OPENVINO={1: 1.5}), 3)
    found = to_dict(lineup)
    (case,) = found["cases"]
    assert case["leaders"] == ["OPENVINO"] and case["by_speed"] == ["OPENVINO", "CPU"]
    low, high = case["figures"]["CPU"]["throughput"]["interval"]
    assert low < 500.0 * 1.05 and high > 500.0 * 0.95
    (pair,) = case["pairs"]
    assert (pair["a"], pair["b"], pair["verdict"]) == ("CPU", "OPENVINO", "faster")
    assert case["figures"]["CPU"]["turns"] == 3
    lines = list(lines_of(lineup))
    assert [line[1] for line in lines] == ["CPU", "OPENVINO"]
    assert lines[1][5:8] == ["1", "", "best"] and lines[0][7] == "slower"


def test_names_and_reasons_of_anybody_are_text(made, tmp_path):
    evil = "<script>alert(1)</script>"
    failed = side(tmp_path, "TORCH", {}, 3, reasons=[evil], status="failed")
    lineup = compare_backends(evil, [*made(CPU={1: 2.0}), failed], 3)
    assert evil.encode() not in lineup_page(lineup, tmp_path, evil)
    assert "<script>" not in markdown(lineup)
