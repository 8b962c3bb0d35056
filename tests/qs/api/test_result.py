"""Results as Python objects: short to print, a table and a curve in a notebook, frames, plots."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest

import qs
from qs import compare
from qs.api.result import Result
from qs.comparison.sides import Side
from tests.qs.result.made import EVIL, REPORTS, small


def of() -> Result:
    return qs.load_result(REPORTS / "closed")


def bare(**changes) -> Result:
    """A result without latencies."""
    return Result(Side("a", small([{"QPS": 10.0}], **changes), lambda name: None))


def test_it_is_short_to_print():
    said = repr(of())
    assert len(said) < 400 and "items/s" in said and "VALID" in said


def test_what_vendors_say_is_escaped():
    said = bare(Task=EVIL, Reasons=[EVIL])._repr_html_()
    assert EVIL not in said and "&lt;script&gt;" in said and "<table>" in said


def test_a_frame_has_a_row_for_each_case():
    pytest.importorskip("pandas")
    frame = of().to_frame()
    assert len(frame) == len(of().rows) and {"items_per_s", "p99_ms", "verdict"} <= set(frame)


def test_without_pandas_it_says_so(monkeypatch):
    true = builtins.__import__

    def without(name, *rest):
        if name == "pandas":
            raise ImportError(name)
        return true(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install pandas"):
        of().to_frame()


def test_a_plot_holds_both_results(tmp_path: Path):
    chart = of().plot(of())
    cases = {point["case"] for point in chart.spec["data"]["values"]}
    assert {case[:3] for case in cases} == {"A: ", "B: "}
    chart.save(tmp_path / "both.svg")
    assert (tmp_path / "both.svg").read_text().startswith("<svg")
    with pytest.raises(qs.UserError, match="png"):
        chart.save(tmp_path / "both.pdf")


def test_without_latencies_there_is_nothing_to_plot():
    with pytest.raises(qs.UserError, match="nothing to plot"):
        bare().plot()
    assert "<svg" not in bare()._repr_html_()


def test_equal_results_compare_as_no_difference():
    found = compare(of(), of())
    assert found.verdict in ("same", "cannot tell")
    assert "<table>" in found._repr_html_() and found.verdict in repr(found)
    assert found.to_dict()["verdict"] == found.verdict


def test_what_is_no_result_is_refused(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(qs.UserError, match="not a result"):
        qs.load_result(tmp_path / "x.json")
