"""Which form of a model a backend gets, and what the reference is computed from; the process that
converts is a stand-in here.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.environments import Environment
from qs.evaluate import offering
from qs.evaluate.failures import BackendFailed
from qs.evaluate.offering import NOT_ASKED, Forms, offered
from qs.models.converted import Converted

OURS = Environment(sys.executable, None, False, "")
CHECK = {"items": 4, "max_abs_diff": 2e-7, "tolerance": 1e-4}


class Process:
    """Converts to ONNX, or says why it cannot."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.refusal, self.asked = refusal, 0

    async def to_onnx(self, path, format, model_info):
        self.asked += 1
        if self.refusal is not None:
            raise self.refusal
        origin = {"path": path, "format": format}
        return {"path": "/cache/m.onnx", "from": origin, "by": "torch 2", "check": CHECK}


NO_TORCH = UserError(
    "torch is not installed: install the extra `torch`, or put an export at m.onnx"
)


def offer(
    tmp_path, there, stated, reads=None, export=None, process=None, compares=True, spelled=None
):
    folder = tmp_path / "ACME"
    folder.mkdir(exist_ok=True)
    code = "class CompileBackendACME:\n    pass\n"
    if reads is not None:
        code += f"    model_formats = {reads!r}\n"
    (folder / "compile_backend_acme.py").write_text(code)
    found = {"path": f"/w/m.{there}", "format": there, "note": "the file", "export": export}
    forms = Forms(found, {}, process or Process())
    return asyncio.run(
        offered(forms, stated, folder, OURS, tmp_path / "log", lambda text: None, compares)
    )


PT, ONNX, EXPORT, MADE = "/w/m.pt", "/w/m.onnx", "/w/export.onnx", "/cache/m.onnx"


@pytest.mark.parametrize(
    ("there", "stated", "reads", "export", "given", "reference"),
    [
        # a published backend: as stated
        ("pt", "pt", None, None, (PT, "pt"), MADE),
        ("pt", "PT", None, None, (PT, "pt"), MADE),
        ("pt", "TorchScript", None, None, (PT, "pt"), MADE),
        ("onnx", "onnx", None, None, (ONNX, "onnx"), ONNX),
        ("saved_model", "saved_model", None, None, ("/w/m.saved_model", "saved_model"), MADE),
        # what is stated comes before the export beside it, which the reference takes
        ("pt", "pt", None, EXPORT, (PT, "pt"), EXPORT),
        ("pt", "onnx", None, EXPORT, (EXPORT, "onnx"), EXPORT),
        ("pt", "onnx", None, None, (MADE, "onnx"), MADE),
        # one that says what it reads: the first that is there or can be had
        ("pt", "pt", ("onnx",), None, (MADE, "onnx"), MADE),
        ("pt", "pt", ("onnx",), EXPORT, (EXPORT, "onnx"), EXPORT),
        ("pt", "pt", ("pt", "onnx"), EXPORT, (PT, "pt"), EXPORT),
        ("pt", "pt", ("onnx", "pt"), None, (MADE, "onnx"), MADE),
        ("onnx", "pt", ("onnx",), None, (ONNX, "onnx"), ONNX),  # synthetic weights
        ("onnx", "pt", ("pt2", "onnx"), None, (ONNX, "onnx"), ONNX),
        # none of our formats: as it is
        ("mlir", "mlir", None, None, ("/w/m.mlir", "mlir"), MADE),
        ("mlir", "mlir", ("mlir",), None, ("/w/m.mlir", "mlir"), MADE),
        ("onnx", "onxx", None, None, (ONNX, "onxx"), ONNX),
    ],
)
def test_what_a_backend_is_given(tmp_path, there, stated, reads, export, given, reference):
    found = offer(tmp_path, there, stated, reads, export)
    assert (found["path"], found["format"]) == given
    assert found["reference"] == reference and "no_reference" not in found
    assert "export" not in found
    assert (found["path"] == MADE) == ("converted" in found)


def test_a_conversion_is_told_with_its_check(tmp_path):
    process = Process()
    found = offer(tmp_path, "pt", "pt", ("onnx",), process=process)
    assert process.asked == 1  # for the backend and the reference
    assert found["converted"] == {
        "from": {"path": PT, "format": "pt"},
        "by": "torch 2",
        "check": CHECK,
    }
    assert found["note"] == (
        "the file; converted to ONNX (.onnx) by torch 2, whose answers to 4 sample items are "
        "within 2e-7 of the original's (allowed: 0.0001 of an output's largest value)"
    )
    other = offer(tmp_path, "pt", "pt")
    assert "converted" not in other and other["reference_converted"]["by"] == "torch 2"
    assert "the reference is its ONNX graph, made by torch 2, whose answers" in other["note"]


def test_without_a_conversion_the_backend_is_measured_and_there_is_no_reference(tmp_path):
    found = offer(tmp_path, "pt", "pt", process=Process(NO_TORCH))
    assert (found["path"], found["reference"]) == (PT, None)
    assert found["no_reference"] == str(NO_TORCH)


def test_nothing_is_converted_for_a_run_that_does_not_compare(tmp_path):
    process = Process()
    found = offer(tmp_path, "pt", "pt", process=process, compares=False)
    assert (found["reference"], found["no_reference"]) == (None, NOT_ASKED)
    assert process.asked == 0
    assert offer(tmp_path, "onnx", "onnx", compares=False)["reference"] == ONNX


def test_the_next_format_is_given_where_a_better_one_cannot_be_had_and_why_is_said(tmp_path):
    found = offer(tmp_path, "pt", "pt", ("onnx", "pt"), process=Process(NO_TORCH))
    assert (found["path"], found["format"]) == (PT, "pt")
    assert f"not given as ONNX (.onnx): {NO_TORCH}" in found["note"]


@pytest.mark.parametrize(
    ("there", "stated", "reads", "said"),
    [
        ("pt", "pt", ("onnx",), f"ACME reads ONNX (.onnx): {NO_TORCH}"),
        (
            "onnx",
            "pt2",
            None,
            "ACME says nothing of what it reads, and the model info states a torch.export archive "
            "(.pt2): /w/m.onnx is ONNX (.onnx), which qs does not convert to",
        ),
        (
            "pt",
            "pt",
            ("onxx",),
            "/w/m.pt is TorchScript (.pt), which qs does not convert to onxx; "
            "qs knows no format 'onxx'; did you mean 'onnx'?",
        ),
        (
            "mlir",
            "mlir",
            ("onnx", "pt2"),
            f"ONNX (.onnx): {NO_TORCH}; a torch.export archive "
            "(.pt2): /w/m.mlir is mlir, which qs does not convert to",
        ),
    ],
)
def test_where_no_form_can_be_had_one_message_says_what_is_there(
    tmp_path, there, stated, reads, said
):
    with pytest.raises(UserError) as refused:
        offer(tmp_path, there, stated, reads, process=Process(NO_TORCH))
    assert said in str(refused.value), refused.value
    assert "\n" not in str(refused.value)


def test_a_runtime_that_dies_of_a_model_is_a_reason_and_no_bug(tmp_path):
    died = BackendFailed("converting m.pt to ONNX: the process ended (SIGSEGV)", "a\nb")
    found = offer(tmp_path, "pt", "pt", process=Process(died))
    assert "SIGSEGV" in found["no_reference"] and "\n" not in found["no_reference"]
    with pytest.raises(UserError, match="SIGSEGV"):
        offer(tmp_path, "pt", "pt", ("onnx",), process=Process(died))


def test_a_format_that_is_made_of_onnx_in_one_step_and_in_two(tmp_path, monkeypatch):
    async def convert(onnx, model_info, environment, log, say):
        origin = {"path": str(onnx), "format": "onnx"}
        return Converted(Path("/cache/m.pt"), "pt", origin, "torch 3", CHECK)

    monkeypatch.setitem(offering.FROM_ONNX, "pt", convert)
    found = offer(tmp_path, "onnx", "pt")
    assert (found["path"], found["format"], found["reference"]) == ("/cache/m.pt", "pt", ONNX)
    assert found["converted"]["from"] == {"path": ONNX, "format": "onnx"}
    found = offer(tmp_path, "saved_model", "saved_model", ("pt",))
    assert found["converted"]["from"]["format"] == "saved_model"
    assert found["converted"]["by"] == "torch 2, then torch 3"
    assert found["converted"]["through"]["path"] == MADE
