"""What `--dry_run` says to people."""

from __future__ import annotations

from qs.evaluate.outline import Outline, OutlinedCase


def test_an_outline_says_every_case_and_how_long_it_takes():
    case = OutlinedCase("bs1-c2", 1, "closed loop", 2, None, 185.0, 0.0, {"x": (1, 4)})
    outline = Outline(
        artifact="m.onnx",
        hardware="CPU",
        report="reports",
        inputs=[{"name": "x", "type": "FLOAT32", "shape": (1, 4)}],
        states={},
        values={"pool": {"value": "thread", "origin": "default"}},
        cases=[case],
        seconds=185.0,
        notes=["odd"],
        batch={"words": "dimension 0 of x, assumed"},
    )
    said = outline.lines()
    assert (
        "  bs1-c2: closed loop, batch size 1, 2 clients, for 3 min 05 s; a call is fed x [1, 4]"
        in said
    )
    assert "batch: dimension 0 of x, assumed" in said
    assert said[-3:] == ["takes about 3 min 05 s, and loading", "report: reports", "note: odd"]
    assert outline.to_dict()["cases"][0]["name"] == "bs1-c2"


def test_a_case_that_cannot_be_run_says_why():
    case = OutlinedCase(
        "bs8-c1", 8, "closed loop", 1, 5, None, 0.0, {"x": (3, 4)}, "one item a call"
    )
    assert str(case).endswith("until its end: one item a call")
