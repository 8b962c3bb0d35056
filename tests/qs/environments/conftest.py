"""A cache of each test's own, and a vendor's folder that needs no network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.qs.environments.packages import Vendor


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def vendor(tmp_path, cache) -> Vendor:
    return Vendor(tmp_path)
