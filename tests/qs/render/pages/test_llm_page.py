"""A language model's page in a real browser."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qs.comparison.comparing import compare_results
from qs.comparison.page import comparison_page
from qs.history.sides import side_of
from qs.render.html.page import result_page
from qs.result.saved import read_result
from qs.result.story import story_of
from tests.qs.evaluate.llm_made import CASE, llm_report, llm_result, llm_row
from tests.qs.render.pages.test_pages import CLIPPED, WIDTHS, above_minor, quiet

FIGURES = ("measures", "tokens", "timeline", "lengths", "goodput")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Three rates."""
    folder = tmp_path_factory.mktemp("llm")
    rows = []
    for number in (1, 2, 3):
        result = llm_result(requests=200 * number, seed=number, good=180 * number)
        row = llm_row(result, folder, case=replace(CASE, name=f"rate-{number}"))
        settings = {"target_qps": 20.0 * number}
        known = {"scenario": "Poisson", "offered_per_s": 20.0 * number, "settings": settings}
        rows.append(row.changed(**known))
    llm_report(folder, *rows)
    path = folder / "report.html"
    path.write_bytes(result_page(story_of(read_result(folder / "result-fp32.json"), folder)))
    return path


def test_it_shows_every_chart_and_is_readable_at_every_width(show, page):
    shown = show(page, color_scheme="dark")
    quiet(shown, page)
    for name in FIGURES:
        assert shown.page.locator(f"#chart-{name} svg").count() == 1, name
    for width in WIDTHS:
        shown.page.set_viewport_size({"width": width, "height": 800})
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.page.evaluate(CLIPPED) == [], width
    assert above_minor(shown) == []


def test_a_case_is_chosen_by_its_menu(show, page):
    shown = show(page)
    before = shown.page.locator("#chart-timeline svg").inner_html()
    menu = shown.page.locator("#chart-timeline select")
    menu.select_option(index=2)
    shown.page.wait_for_function(
        "before => document.querySelector('#chart-timeline svg').innerHTML !== before", arg=before
    )
    assert shown.said == []


@pytest.mark.slow
@pytest.mark.parametrize("media", ["screen", "print"])
def test_no_accessibility_fault_in_light_and_in_print(show, page, media):
    shown = show(page, color_scheme="light", viewport={"width": 360, "height": 800})
    shown.page.emulate_media(media=media)
    assert above_minor(shown) == []


@pytest.mark.slow
def test_a_comparison_has_a_curve_for_each_time_of_a_token(show, tmp_path):
    sides = [
        side_of(str(llm_report(tmp_path / name, seed=seed, requests=400)))
        for seed, name in enumerate("ab", start=1)
    ]
    path = tmp_path / "compare.html"
    path.write_bytes(comparison_page(compare_results(sides)))
    shown = show(path)
    quiet(shown, path)
    for name in ("ttft", "itl", "tpot"):
        assert shown.page.locator(f"#chart-case-0-0-curves-{name} svg").count() == 1
    assert above_minor(shown) == []
