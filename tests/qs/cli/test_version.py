"""`qs version`: what is measured with."""

from __future__ import annotations

import json
import platform
from importlib import metadata

import pytest

from qs import __version__
from qs.cli.version import one_line, versions
from tests.qs.program import qs


def test_the_versions_are_those_that_are_installed():
    ran = qs("version", "--json")
    found = json.loads(ran.stdout)
    assert ran.returncode == 0 and not ran.stderr
    assert found == versions() and list(found)[:3] == ["qs", "Python", "ONNX Runtime"]
    assert found["qs"] == __version__ and found["numpy"] == metadata.version("numpy")
    assert found["Python"] == platform.python_version()


def test_a_line_for_each_of_them():
    lines = qs("version").stdout.splitlines()
    assert [line[14:] for line in lines] == [
        each or "not installed" for each in versions().values()
    ]


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert "ONNX Runtime  not installed" in qs("version").stdout
    assert "ONNX Runtime none" in one_line()
