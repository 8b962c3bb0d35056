"""The live page in a browser, beside a run that goes on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.qs.result import made

pytestmark = pytest.mark.slow


def test_it_is_seen_to_change_while_a_run_goes_on(browser, tmp_path):
    command = [sys.executable, "-m", "qs", "run", *made.DIGITS, "--out", tmp_path, "--web"]
    asked = ["--batch_sizes", "1,8", "--duration", "4s", "--no_history"]
    run = subprocess.Popen(
        [*map(str, command), *asked],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"QS_DATA": str(tmp_path / "data")},
    )
    try:
        link = next(line.split()[-1] for line in run.stderr if line.startswith("live page: "))
        page = browser.new_page()
        said = []
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(link)
        rows = "document.querySelectorAll('#performance tbody tr').length"
        now = "document.getElementById('now').textContent"
        page.wait_for_function(f"{now}.includes('measuring')", timeout=120_000)
        page.wait_for_function("window.qsCharts.now !== undefined", timeout=60_000)
        page.wait_for_function(f"{rows} === 1", timeout=120_000)
        page.wait_for_function(f"{now}.includes('ended')", timeout=120_000)
        page.wait_for_function(f"{rows} === 2", timeout=60_000)
        assert page.locator(".verdict").count() == 1 and said == []
        page.close()
        run.stderr.read()
        assert run.wait(60) in (0, 3)
    finally:
        run.kill()
        run.wait()
        run.stderr.close()
