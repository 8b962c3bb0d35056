"""Every command that shows text of vendors, models and files shows it visibly."""

from __future__ import annotations

import json

import pytest

from qs.history import record
from qs.result.saved import typed
from tests.qs import small_backend
from tests.qs.base.test_console import CONTROLS, EVIL
from tests.qs.program import Ran, qs
from tests.qs.result import made

SAFE = EVIL.replace("\x00", "")
NAME = SAFE.replace("/", "")


def clean(ran: Ran, status: int | tuple[int, ...]) -> Ran:
    """It said the text, and no control character."""
    said = ran.stdout + ran.stderr
    assert ran.returncode in ([status] if isinstance(status, int) else status), said
    assert "owned" in said
    assert not CONTROLS & set(said), said
    return ran


@pytest.fixture
def evil(tmp_path):
    """A result whose every free text is hostile, and its folder."""
    folder = made.report("closed", tmp_path)
    result = made.result_of(folder)
    for key in ("Task", "Model", "Backend", "Runtime Version", "Host Info"):
        result[key] = SAFE
    result |= {"Warnings": [SAFE], "Reasons": [f"{SAFE}\nverdict: VALID"], "Command": ["qs", SAFE]}
    result["Samples"] = {"kind": "generated", "why": SAFE, "seed": 0}
    result["Graph Compile"] |= {"Compile Status": SAFE, "Compile Precision": SAFE}
    result["Verdict"] = "INVALID"
    for row in result["Performance"]:
        row |= {"Pool": SAFE, "Warnings": [SAFE]}
    (folder / "result-fp32.json").write_text(json.dumps(result))
    return folder, result


def test_a_result_of_the_history(evil, tmp_path, monkeypatch):
    folder, result = evil
    monkeypatch.setenv("QS_DATA", str(tmp_path / "data"))
    record(typed(result, "made"), folder / "result-fp32.json")
    clean(qs("history"), 0)
    clean(qs("history", "--json"), 0)
    shown = clean(qs("history", "show", "1"), 0)
    assert "\nverdict: VALID" not in shown.stdout
    clean(qs("history", "show", "1", "--json"), 0)
    clean(qs("history", "tag", "1", "x" + SAFE), 2)


def test_comparing_and_rendering(evil, tmp_path):
    folder, result = evil
    (folder / "other.json").write_text(json.dumps(result | {"Task": "x" + SAFE}))
    clean(qs("compare", folder / "result-fp32.json", folder / "other.json"), 2)
    both = ("compare", folder / "result-fp32.json", folder / "other.json", "--anyway")
    clean(qs(*both), 0)
    clean(qs(*both, "--json"), 0)
    clean(qs("report", folder, "--format", "md", "--output", "-"), 0)
    (folder / "result-fp32.json").write_text(json.dumps(result | {"Verdict": SAFE}))
    clean(qs("report", folder), 2)
    clean(qs("report", "--all", tmp_path), 0)


def test_names_that_the_user_typed_or_a_folder_has(tmp_path):
    place = tmp_path / NAME / "workloads"
    place.mkdir(parents=True)
    (place / "mine.json").write_text("{}")
    clean(qs("list", "tasks", "--workspace", place.parent, "--json"), 0)
    clean(qs("run", "--task", SAFE, "--hardware_type", SAFE), 2)
    clean(qs(SAFE), 2)
    clean(qs("report", SAFE), 2)
    clean(qs("schema", SAFE), 2)


@pytest.mark.slow
def test_a_vendor_that_fails_with_escapes(tmp_path):
    root = small_backend.write(
        tmp_path, predict=f"def predict(self, feeds): raise OSError({SAFE!r})"
    )
    clean(qs(*small_backend.arguments(root, "run", "--no_history"), cwd=root), 3)
    (root / "backends" / "TINY" / "compile_backend_tiny.py").write_text(
        f"raise ImportError({SAFE!r})"
    )
    clean(qs(*small_backend.arguments(root, "run", "--no_history"), cwd=root), (2, 3))
    place = ("--task", "small", "--hardware_type", "TINY", "--workspace", root)
    clean(qs("check", *place, cwd=root), (2, 3))


def test_a_qs_config_with_escapes_in_a_key(tmp_path):
    root = small_backend.write(tmp_path, config={SAFE: SAFE})
    clean(qs(*small_backend.arguments(root, "run", "--no_history"), cwd=root), 2)
