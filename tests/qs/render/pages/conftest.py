"""One headless Chromium for the tests of pages: the machine's own, found by name or by
QS_TEST_BROWSER.

Where there is none the tests are skipped, except where QS_TEST_BROWSER is set (as in CI), which
then must lead to one.
"""

from __future__ import annotations

import os
import shutil

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(
    scope="module"
)  # its event loop must not outlive this module: tests of blocking runs would find it
def browser():
    asked = os.environ.get("QS_TEST_BROWSER")
    path = shutil.which(asked or "") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if asked:
            pytest.fail(f"QS_TEST_BROWSER is {asked}: no such browser")
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


class Shown:
    """A page as it is seen: what it asked for, and what its console said."""

    def __init__(self, page, path):
        self.page = page
        self.requests: list[str] = []
        self.said: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.said.append("a dialog opened"), dialog.dismiss()))
        page.goto(path.absolute().as_uri())
        page.wait_for_function("document.readyState === 'complete'")
        page.evaluate("window.qsReady")


@pytest.fixture
def show(browser):
    contexts = []

    def open_page(path, **options) -> Shown:
        context = browser.new_context(**options)
        contexts.append(context)
        return Shown(context.new_page(), path)

    yield open_page
    for context in contexts:
        context.close()
