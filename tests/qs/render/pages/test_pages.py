"""The pages in a real browser: they load without a word or a request, show the right numbers, and
can be used by everybody.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from qs.base.words import number
from qs.comparison.comparing import compare_results
from qs.comparison.page import comparison_page
from qs.comparison.sides import from_path
from qs.lineup.comparing import compare_backends
from qs.lineup.page import lineup_page
from qs.lineup.saying import sentence
from qs.render.html.index_page import reports_page
from qs.render.html.page import result_page
from tests.qs.lineup.sides import side
from tests.qs.program import qs, qs_process
from tests.qs.result import made

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made.report("closed", tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def page(folder):
    return folder / "report.html"


def quiet(shown, path) -> None:
    assert shown.said == []
    assert shown.requests == [path.absolute().as_uri()]


def test_it_loads_from_a_file_and_shows_the_right_numbers(show, page, folder):
    assert page.stat().st_size < MOST_BYTES
    shown = show(page)
    quiet(shown, page)
    result = made.result_of(folder)
    assert result["Verdict"] in shown.page.locator(".headline .verdict").inner_text()
    tiles = shown.page.locator(".tiles").inner_text()
    best = max(result["Performance"], key=lambda row: row["QPS"])
    assert number(best["QPS"], 3) in tiles and number(result["Accuracy"]["Top-1"], 4) in tiles
    for at, row in enumerate(result["Performance"]):
        cells = shown.page.locator("#performance tbody tr").nth(at).locator("td")
        assert float(cells.nth(0).get_attribute("data-value")) == row["QPS"]
        done = shown.page.locator("#performance [data-label=completed]").nth(at)
        assert done.text_content() == number(row["Completed"])
    drawn = shown.page.evaluate("Object.keys(window.qsCharts)")
    assert {"percentiles", "batches", "series"} <= set(drawn)
    assert shown.page.locator(".chart svg").count() == len(drawn)


def test_zoom_legend_and_choice_work(show, page):
    shown = show(page)
    domain = "JSON.stringify(window.qsCharts.percentiles.view.scale('y').domain())"
    before = shown.page.evaluate(domain)
    shown.page.locator("#chart-percentiles svg").scroll_into_view_if_needed()
    box = shown.page.locator("#chart-percentiles svg").bounding_box()
    shown.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    shown.page.mouse.wheel(0, -400)
    shown.page.wait_for_function(f"{domain} !== {json.dumps(before)}")
    lines = "[...document.querySelectorAll('#chart-percentiles g.mark-line path')]"
    opacity = f"{lines}.map(each => each.getAttribute('opacity')).join()"
    all_shown = shown.page.evaluate(opacity)
    shown.page.locator("#chart-percentiles g.role-legend-label text").first.click()
    shown.page.wait_for_function(f"{opacity} !== {json.dumps(all_shown)}")
    chosen = "window.qsCharts.series.view.signal('chosen')"
    first = shown.page.evaluate(chosen)
    shown.page.locator("#chart-series select").select_option(index=1)
    shown.page.wait_for_function(f"{chosen} !== {json.dumps(first)}")
    assert shown.said == []


def test_tables_sort_with_the_keyboard(show, page):
    shown = show(page)
    button = shown.page.locator("#performance thead button").nth(1)
    rows = "[...document.querySelectorAll('#performance tbody tr')]"
    column = f"{rows}.map(row => Number(row.cells[1].dataset.value))"
    button.focus()
    shown.page.keyboard.press("Enter")
    down = shown.page.evaluate(column)
    assert down == sorted(down, reverse=True)
    assert (
        shown.page.locator("#performance thead th").nth(1).get_attribute("aria-sort")
        == "descending"
    )
    shown.page.keyboard.press("Enter")
    assert shown.page.evaluate(column) == down[::-1]


def test_dark_mode_follows_the_system(show, page):
    shown = show(page, color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    axis = (
        "getComputedStyle(document.querySelector('#chart-percentiles .role-axis-label text')).fill"
    )
    light = shown.page.evaluate(f"[{colour}, {axis}]")
    shown.page.emulate_media(color_scheme="dark")
    shown.page.wait_for_function(f"{axis} !== {json.dumps(light[1])}")
    dark = shown.page.evaluate(f"[{colour}, {axis}]")
    assert light[0] == "rgb(255, 255, 255)" and dark[0] != light[0]


CLIPPED = """[...document.querySelectorAll('.scroll, table, figure, .chart, pre')]
  .filter(each => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
  .map(each => `${each.className}#${each.id} ${each.scrollWidth} > ${each.clientWidth}`)"""
WIDTHS = (360, 768, 1280, 1920)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A page of each kind."""
    root = tmp_path_factory.mktemp("kinds")
    pages = {}
    for name in ("closed", "open", "sweep"):
        (root / name).mkdir()
        folder = made.report(name, root / name)
        pages[name] = folder / ("sweep.html" if name == "sweep" else "report.html")
    many = root / "twenty.html"
    many.write_bytes(result_page(made.told(made.large(pages["closed"].parent, 20, 0.1))))
    return pages | {"twenty": many}


@pytest.mark.parametrize("name", ["closed", "open", "twenty"])
def test_nothing_is_clipped_and_errors_and_verdicts_are_seen(show, kinds, name):
    shown = show(kinds[name])
    for width in WIDTHS:
        shown.page.set_viewport_size({"width": width, "height": 800})
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.page.evaluate(CLIPPED) == [], width
        for label in ("errors", "verdict"):
            cell = shown.page.locator(f"#performance td[data-label={label}]").first
            assert cell.is_visible()


def test_a_phone_shows_each_row_as_a_card(show, page):
    shown = show(page, viewport={"width": 360, "height": 800})
    label = "getComputedStyle(document.querySelector('#performance td'), '::before').content"
    assert "items/s" in shown.page.evaluate(label)


def test_in_print_no_chart_is_cut(show, page):
    shown = show(page, viewport={"width": 700, "height": 1000})
    shown.page.emulate_media(media="print")
    right = "getBoundingClientRect().right"
    charts, main = "[...document.querySelectorAll('.chart svg')]", "document.querySelector('main')"
    over = f"{charts}.map(svg => svg.{right} - {main}.{right})"
    assert all(each <= 1 for each in shown.page.evaluate(over))
    assert shown.page.pdf(format="A4").startswith(b"%PDF")
    figures = "[...document.querySelectorAll('figure')]"
    kept = f"{figures}.every(each => getComputedStyle(each).breakInside === 'avoid')"
    assert shown.page.evaluate(kept)


def above_minor(shown) -> list:
    from axe_playwright_python.sync_playwright import Axe

    shown.page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    return [
        (each["id"], [node["html"][:200] for node in each["nodes"][:3]])
        for each in Axe().run(shown.page).response["violations"]
        if each["impact"] != "minor"
    ]


@pytest.mark.parametrize(
    "scheme", ["dark", *(pytest.param(each, marks=pytest.mark.slow) for each in ("light", "print"))]
)
def test_no_accessibility_fault_above_minor(show, page, scheme):
    shown = show(page, color_scheme="dark" if scheme == "dark" else "light")
    if scheme == "print":
        shown.page.emulate_media(media="print")
    assert above_minor(shown) == []


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["open", "sweep", "twenty"])
def test_no_accessibility_fault_of_other_pages_and_widths(show, kinds, name, width):
    shown = show(kinds[name], viewport={"width": width, "height": 800})
    assert above_minor(shown) == []


def test_a_doubt_has_a_command_to_copy(show, folder, tmp_path):
    result = made.result_of(folder)
    text, cure = "the run was short", "--duration 30s"
    for row in result["Performance"]:
        row |= {"Warnings": [f"{text}; {cure}"], "Warning Codes": ["x"]}
        row["Doubts"] = [{"Code": "x", "Text": text, "Cure": cure}]
    path = tmp_path / "report.html"
    path.write_bytes(result_page(made.told(result, folder)))
    shown = show(path)
    doubts = shown.page.locator(".doubts li")
    assert doubts.count() == 1 and "all cases" in doubts.inner_text()
    command = doubts.locator("button").get_attribute("data-copy")
    assert command.endswith("--duration 30s") and command.startswith("qs run ")
    assert "VALID, 1 doubt" in shown.page.locator(".verdict").inner_text()


def test_a_page_that_is_sent_names_no_home(folder):
    result = made.result_of(folder)
    result["Model Source"] = {"note": "the file /home/ann/secret/m.onnx"}
    result["Command"] = ["qs", "run", "--out", "/home/ann/reports"]
    page = result_page(made.told(result, folder)).decode()
    assert "/home/ann" not in page
    assert "~/reports" in page and "~/secret/m.onnx" in page


def test_text_of_others_does_no_harm(show, folder, tmp_path):
    result = made.evil(folder, tmp_path / "evil")
    path = tmp_path / "evil" / "report.html"
    path.write_bytes(result_page(made.told(result, tmp_path / "evil")))
    shown = show(path)
    quiet(shown, path)
    assert shown.page.locator("img:not([src^='data:'])").count() == 0
    text = shown.page.locator("body").inner_text()
    assert made.EVIL in text and "characters left out" in text
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert path.stat().st_size < MOST_BYTES


@pytest.mark.slow
def test_200_cases_and_24_hours_stay_small(show, folder, tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(result_page(made.told(made.large(folder, 200, 24.0), folder)))
    assert path.stat().st_size < MOST_BYTES
    shown = show(path)
    quiet(shown, path)
    points = json.loads(shown.page.locator("#charts").text_content())["series"]["data"]["values"]
    assert max(point["p99"] for point in points) == 93.0  # the peak is not thinned away
    assert "put together" in shown.page.locator("main").inner_text()


def test_an_open_loop_has_its_own_section(show, tmp_path):
    path = made.report("open", tmp_path) / "report.html"
    shown = show(path)
    quiet(shown, path)
    assert (
        "Response time is counted from when a query was due"
        in shown.page.locator("main").inner_text()
    )
    shown.page.wait_for_function("window.qsCharts && window.qsCharts.parts", timeout=60_000)
    assert "parts" in shown.page.evaluate("Object.keys(window.qsCharts)")


def test_a_comparison_side_by_side(show, folder, tmp_path):
    path = tmp_path / "comparison.html"
    ran = qs("compare", folder, folder, "--html", path, "--json", "--quiet")
    assert ran.returncode == 0, ran.stderr
    shown = show(path)
    quiet(shown, path)
    compared = json.loads(ran.stdout)
    assert shown.page.locator(".verdict").inner_text() == compared["verdict"]
    assert shown.page.locator(".chart svg").count() == 4
    assert "is better" in shown.page.locator("main").inner_text()
    assert "Nothing differs" in shown.page.locator("main").inner_text()
    side = from_path(str(folder))
    evil = compare_results([replace(side, name=made.EVIL), side])
    path.write_bytes(comparison_page(evil))
    assert show(path).said == []


def test_several_backends_on_one_page(show, tmp_path):
    sides = [
        side(tmp_path, name, {1: ms, 8: 4 * ms}, at)
        for at, (name, ms) in enumerate((("CPU", 2.0), ("OPENVINO", 1.5), ("TORCH", 3.0)))
    ]
    lineup = compare_backends(f"small {made.EVIL}", sides, 3)
    path = tmp_path / "comparison.html"
    path.write_bytes(lineup_page(lineup, tmp_path, "qs run"))
    shown = show(path)
    quiet(shown, path)
    assert shown.page.locator(".headline").inner_text() == sentence(lineup)
    assert shown.page.locator(".chart svg").count() == 3
    assert shown.page.locator("#figures tbody tr").count() == 6
    assert shown.page.locator("#pairs tbody tr").count() == 6
    for width in (390, 1280):
        shown.page.set_viewport_size({"width": width, "height": 800})
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_index_sorts_and_filters(show, folder, tmp_path):
    root = folder.parent.parent
    other = made.result_of(folder) | {
        "Task": f"another {made.EVIL}",
        "Backend": "ACME",
        "Verdict": "INVALID",
    }
    (root / "ACME" / "x").mkdir(parents=True)
    (root / "ACME" / "x" / "result-fp16.json").write_text(json.dumps(other))
    (root / "ACME" / "x" / "result-bad.json").write_text("{}")
    page, unread = reports_page(root)
    assert len(unread) == 1 and "result-bad.json" in unread[0]
    path = root / "index.html"
    path.write_bytes(page)
    shown = show(path)
    quiet(shown, path)
    visible = (
        "[...document.querySelectorAll('#reports tbody tr')].filter(row => !row.hidden).length"
    )
    assert shown.page.evaluate(visible) == 2
    best = max(made.result_of(folder)["Performance"], key=lambda row: row["QPS"])
    line = shown.page.locator("#reports tbody tr", has_text="digits").first
    for label, value in (("items/s", best["QPS"]), ("p99 ms", best["P99 Latency"])):
        cell = line.locator(f"td[data-label='{label}']")
        assert float(cell.get_attribute("data-value")) == value  # all of one case
    for width in WIDTHS:
        shown.page.set_viewport_size({"width": width, "height": 800})
        assert shown.page.evaluate(CLIPPED) == [], width
    shown.page.locator("select[name=backend]").select_option("ACME")
    assert shown.page.evaluate(visible) == 1
    shown.page.locator("select[name=backend]").select_option("")
    shown.page.locator("input[name=words]").fill("digits cpu")
    assert shown.page.evaluate(visible) == 1
    assert shown.page.locator("output").inner_text() == "1 of 2"
    shown.page.locator("input[name=words]").fill("")
    shown.page.locator("#reports tbody tr a", has_text="digits").click()
    assert shown.page.url.endswith("report.html")


def test_a_sweep_has_its_settings_and_its_limit(show, tmp_path):
    path = made.report("sweep", tmp_path) / "sweep.html"
    shown = show(path)
    quiet(shown, path)
    assert "limit" in shown.page.evaluate("Object.keys(window.qsCharts)")
    assert "For throughput" in shown.page.locator("main").inner_text()


@pytest.mark.slow
def test_a_run_leaves_its_page(show, tmp_path):
    """The other tests draw saved reports."""
    sizes = ("--batch_sizes", "1", "--clients", "1", "--duration", "0.3s")
    ran = qs_process("run", *made.DIGITS, *sizes, "--out", tmp_path, "--quiet")
    assert ran.returncode == 0, ran.stderr
    path = tmp_path / "CPU" / "digits-cnn-onnx-fp32" / "report.html"
    shown = show(path)
    quiet(shown, path)
    shown.page.wait_for_function("window.qsCharts && window.qsCharts.percentiles", timeout=60_000)
    assert "percentiles" in shown.page.evaluate("Object.keys(window.qsCharts)")
