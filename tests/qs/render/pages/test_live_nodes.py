"""The live page shows each node of the case in flight, in a browser."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from qs.evaluate.web import served
from qs.result.record import Record
from tests.qs.watch.test_nodes import MEASURING, A, B, C

pytestmark = pytest.mark.slow


def test_each_node_is_shown_and_a_lost_one_in_the_colour_of_a_failure(browser, tmp_path):
    evil = replace(A, name="<img src=x onerror=alert(1)>")
    seen, done = threading.Event(), threading.Event()
    with served(0) as live:
        live.follow(Record("t", "CPU", "m", ["qs", "run"], "0"), tmp_path)

        def measure() -> None:
            with live.case("BS 1") as follow:
                follow(replace(MEASURING, nodes=(evil, B)))
                seen.wait(30)
                follow(replace(MEASURING, nodes=(evil, B, C)))
                done.wait(30)

        thread = threading.Thread(target=measure)
        thread.start()
        page = browser.new_page()
        said = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
        try:
            page.goto(live.address)
            page.wait_for_function("document.querySelectorAll('#now-nodes tbody tr').length === 2")
            seen.set()
            page.wait_for_function("document.querySelectorAll('#now-nodes tbody tr').length === 3")
            assert "1 lost (c)" in page.locator("#now-nodes caption").inner_text()
            assert page.locator("#now-nodes img").count() == 0
            colour = "each => getComputedStyle(each).color"
            names = page.locator("#now-nodes tbody th")
            assert names.nth(2).evaluate(colour) != names.nth(1).evaluate(colour)
            assert page.locator("#now-nodes tbody tr").nth(1).inner_text().split("\t")[1:] == [
                "silent for 4.0 s",
                "180",
                "9 ms",
                "900",
                "3",
            ]
        finally:
            seen.set()
            done.set()
            thread.join(30)
            page.close()
        assert said == []
