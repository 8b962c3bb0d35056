"""The page of a load that several nodes shared, in a real browser."""

from __future__ import annotations

import json

import pytest

from qs.render.html.page import result_page
from qs.result.saved import parsed
from qs.result.story import story_of
from tests.qs.render.pages.test_pages import CLIPPED, WIDTHS, above_minor, quiet
from tests.qs.render.test_nodes import hostile
from tests.qs.result.made_nodes import spread

DRAWN = {"nodes", "nodes-time", "nodes-clock"}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    root = tmp_path_factory.mktemp("nodes")
    found = {}
    for count in (1, 2, 12, 1000):
        slow, lost = (count // 3, count - 1) if count > 2 else (None, None)
        found[count] = root / f"{count}.html"
        found[count].write_bytes(result_page(story_of(spread(count, slow, lost))))
    found[-1] = root / "hostile.html"
    found[-1].write_bytes(result_page(story_of(parsed(json.dumps(hostile()).encode(), "x"))))
    return found


@pytest.mark.parametrize("count", [1, 2, 12, 1000, -1])
def test_it_is_drawn_without_a_word_and_nothing_is_clipped(show, pages, count):
    shown = show(pages[count])
    quiet(shown, pages[count])
    drawn = set(shown.page.evaluate("Object.keys(window.qsCharts)"))
    assert drawn >= DRAWN if count != 1 else not DRAWN & drawn
    shown.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    for width in WIDTHS:
        shown.page.set_viewport_size({"width": width, "height": 900})
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        if count > 0:  # figures of 300 digits may be scrolled to
            assert shown.page.evaluate(CLIPPED) == [], width


def test_the_slow_node_and_the_lost_one_have_colours_of_their_own(show, pages):
    page = show(pages[12]).page
    bars = "[...document.querySelectorAll('#chart-nodes g.mark-rect path')]"
    fills = page.evaluate(f"{bars}.map(each => each.getAttribute('fill'))")
    assert len(fills) == 24
    for at in (0, 12):  # rates, then p99
        of_panel = fills[at : at + 12]
        assert len({of_panel[4], of_panel[11], of_panel[0]}) == 3
        assert of_panel.count(of_panel[0]) == 10
    colour = "each => getComputedStyle(each).color"
    cells = page.locator("#nodes-0 [data-label=state]")
    assert cells.nth(11).evaluate(colour) != cells.nth(4).evaluate(colour)
    assert "lost after 13 s" in cells.nth(11).inner_text()
    said = page.locator("#chart-nodes-time").inner_text()
    assert "worker-11 lost" in said


def test_of_many_nodes_those_that_stand_out_come_first(show, pages):
    page = show(pages[1000]).page
    names = page.locator("#nodes-0 tbody th").all_inner_texts()
    assert len(names) == 16 and names[:2] == ["worker-999", "worker-333"]
    assert "984 more nodes" in page.locator("#nodes-0 caption").inner_text()
    before = page.evaluate(
        "JSON.stringify(window.qsCharts['nodes-time'].view.scale('color').domain())"
    )
    page.locator("#chart-nodes-time select").select_option(index=1)
    page.wait_for_function(
        "JSON.stringify(window.qsCharts['nodes-time'].view.scale('color').domain()) !== "
        + json.dumps(before)
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 1000])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_accessibility_fault_above_minor(show, pages, count, scheme):
    assert above_minor(show(pages[count], color_scheme=scheme)) == []
