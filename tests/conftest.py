"""What holds for every test: none leaves an entry in the real history of who runs them."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_history(tmp_path_factory):
    """QS_DATA for this process and all that it starts."""
    before = os.environ.get("QS_DATA")
    os.environ["QS_DATA"] = str(tmp_path_factory.mktemp("qs-data"))
    yield
    if before is None:
        del os.environ["QS_DATA"]
    else:
        os.environ["QS_DATA"] = before
