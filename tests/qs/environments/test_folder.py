"""The folder that a backend works in: upstream's paths resolve there over any layout of workspaces,
and what is written stays.
"""

from __future__ import annotations

from qs.environments.folder import shown_model, working_folder


def workspace(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_one_workspace_is_shown_as_it_is(tmp_path):
    root = workspace(tmp_path / "mine", backends__XXX__X="1", requirements="2")
    work = working_folder(tmp_path / "out" / "work", [root], [root / "backends" / "XXX"])
    for name in ("general_perf", "byte_mlperf"):
        assert (work / name / "backends" / "XXX" / "X").read_text() == "1"
        assert (work / name / "requirements").read_text() == "2"
    (work / "general_perf" / "backends" / "XXX" / "compiled.bin").write_text("3")
    assert (root / "backends" / "XXX" / "compiled.bin").read_text() == "3"


def test_several_workspaces_are_shown_as_one_and_the_first_wins(tmp_path):
    mine = workspace(tmp_path / "mine", backends__XXX__X="mine", model_zoo__a="mine", notes="n")
    theirs = workspace(
        tmp_path / "theirs",
        backends__XXX__X="theirs",
        backends__YYY__Y="theirs",
        model_zoo__a="theirs",
        datasets__d__f="theirs",
    )
    work = working_folder(tmp_path / "work", [mine, theirs], [theirs / "datasets" / "d"])
    seen = work / "general_perf"
    assert (seen / "backends" / "XXX" / "X").read_text() == "mine"
    assert (seen / "backends" / "YYY" / "Y").read_text() == "theirs"
    assert (seen / "model_zoo" / "a").read_text() == "mine"
    assert (seen / "datasets" / "d" / "f").read_text() == "theirs"
    assert (seen / "notes").read_text() == "n"


def test_it_is_made_again_over_itself_and_keeps_what_the_backend_wrote(tmp_path):
    first = workspace(tmp_path / "first", backends__XXX__X="1")
    second = workspace(tmp_path / "second", backends__XXX__X="2")
    other = workspace(tmp_path / "other", backends__ZZZ__Z="3", datasets__d__f="4")
    work = tmp_path / "work"
    working_folder(work, [first])
    (work / "tuning.cache").write_text("kept")
    for roots, needed in (
        ([second], []),
        ([second, other], [other]),
        ([second, other], [other]),
        ([second], []),
    ):
        working_folder(work, roots, needed)
        assert (work / "general_perf" / "backends" / "XXX" / "X").read_text() == "2"
    assert (work / "tuning.cache").read_text() == "kept"
    assert (first / "backends" / "XXX" / "X").read_text() == "1"


def test_what_is_written_beside_the_model_is_not_in_the_model_zoo(tmp_path):
    zoo = workspace(tmp_path / "open_bert", **{"m.pt": "weights", "vocab.txt": "v", "m.onnx": "o"})
    shown = shown_model(tmp_path / "work", zoo / "m.pt", "0123456789abcdef0")
    assert (shown.name, shown.parent.name) == ("m.pt", "open_bert")
    assert shown.read_text() == "weights"
    assert {path.name for path in shown.parent.iterdir()} == {"m.pt", "vocab.txt"}
    shown.with_suffix(".onnx").write_text("converted")
    assert (zoo / "m.onnx").read_text() == "o"
    again = shown_model(tmp_path / "work", zoo / "m.pt", "0123456789abcdef0")
    assert again.with_suffix(".onnx").read_text() == "converted"
    other = shown_model(tmp_path / "work", zoo / "m.pt", "other")
    assert not other.with_suffix(".onnx").exists()


def test_a_saved_model_is_a_folder_of_links(tmp_path):
    model = workspace(tmp_path / "open_x", **{"saved_model.pb": "g", "variables__data": "v"})
    shown = shown_model(tmp_path / "work", model, "abc")
    assert (shown / "saved_model.pb").read_text() + (shown / "variables" / "data").read_text() == (
        "gv"
    )
    (shown / "open_x.onnx").write_text("converted")
    assert {path.name for path in model.iterdir()} == {"saved_model.pb", "variables"}


def test_where_no_links_can_be_made_the_model_itself_is_given(tmp_path):
    model = workspace(tmp_path / "zoo", **{"m.pt": "weights"}) / "m.pt"
    (tmp_path / "work").write_text("a file")
    assert shown_model(tmp_path / "work", model, "abc") == model
