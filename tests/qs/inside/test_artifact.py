"""The service that reads a model file: real ONNX Runtime sessions on small graphs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from qs.artifact import model_info_of
from qs.base.errors import Faults, UserError
from qs.inside.artifact import ArtifactService
from qs.inside.samples import GivenItems, open_given
from qs.inside.targets import target_of
from tests.qs.artifact import graphs


def describe(path: Path, **asked):
    return ArtifactService().describe(str(path), {"probe": True, **asked})


def test_a_recurrent_model_needs_no_flag(tmp_path):
    found = describe(graphs.recurrent(tmp_path / "vad.onnx"))
    assert {each["name"]: each["shape"] for each in found["inputs"]} == {
        "input": (1, 512),
        "state": (1, 1, 1),
        "sr": (),
    }
    assert found["states"] == {"state": "stateN"}
    assert len(found["notes"]) == 3 and found["tried_s"] > 0


def test_a_guess_is_tried_until_one_runs(tmp_path):
    found = describe(graphs.needs_multiple_of(tmp_path / "m.onnx", 48))
    assert found["inputs"][0]["shape"] == (1, 3, 48, 48)
    stated = describe(
        graphs.needs_multiple_of(tmp_path / "n.onnx", 40), shapes={"x": [1, 3, 40, 40]}
    )
    assert stated["inputs"][0]["shape"] == (1, 3, 40, 40) and stated["notes"] == []
    unprobed = describe(graphs.needs_multiple_of(tmp_path / "o.onnx", 48), probe=False)
    assert (
        unprobed["inputs"][0]["shape"] == (1, 3, 224, 224) and "not tried" in unprobed["notes"][0]
    )


def test_one_clear_message_where_nothing_runs(tmp_path):
    with pytest.raises(UserError) as error:
        describe(graphs.never_runs(tmp_path / "m.onnx"))
    said = str(error.value)
    assert "x [N, L]: tried [1, 512]" in said and "--shape x=1,L" in said
    assert "--shape x=1,512" not in said, "a shape that failed is no advice"
    assert "ONNX Runtime said" in said


def test_all_types(tmp_path):
    found = describe(graphs.of_all_types(tmp_path / "m.onnx"))
    types = {each["name"]: each["type"] for each in found["inputs"]}
    assert types == {
        "text": "STRING",
        "half": "FLOAT16",
        "flag": "BOOL",
        "ids": "INT64",
        "scale": "FLOAT32",
    }
    feeds = GivenItems(model_info_of(found, "m", tmp_path), {}, 0).feeds(0, 3)
    assert {name: array.shape for name, array in feeds.items()} == {
        "text": (3, 1),
        "half": (3, 4),
        "flag": (3, 2),
        "ids": (3, 128),
        "scale": (),
    }


@pytest.mark.parametrize(
    "asked", [{"batch_sizes": [8]}, {"batch_axis": [["", 0]]}, {"batch_axis": [["x", 0]]}]
)
def test_a_file_fixed_to_a_batch_is_measured_at_it_if_the_user_says_so(tmp_path, asked):
    found = describe(graphs.fixed_to_batch(tmp_path / "m.onnx", 8), **asked)
    assert found["inputs"][0]["shape"] == (1, 5)
    assert (found["batch_sizes"], found["batch"]["only"]) == ([8], 8)


def test_a_fixed_first_dimension_is_no_batch(tmp_path):
    found = describe(graphs.fixed_to_batch(tmp_path / "m.onnx", 8))
    assert found["inputs"][0]["shape"] == (8, 5) and found["inputs"][0]["batch_axis"] is None
    assert (found["batch_sizes"], found["batch"]["origin"]) == ([1], "none")
    assert any("--batch_axis 0" in note for note in found["notes"])


def test_a_format_of_the_backends_own_may_state_its_batch(tmp_path):
    path = tmp_path / "m.engine"
    path.write_bytes(b"x")
    types = {"a": "INT8"}
    assert describe(path, shapes={"a": [1, 2]}, types=types)["batch"]["only"] is None
    found = describe(path, shapes={"a": [8, 2]}, types=types)
    assert (found["inputs"][0]["shape"], found["batch"]["only"]) == ((8, 2), 1)
    found = describe(path, shapes={"a": [8, 2]}, types=types, batch_axis=[["", 0]])
    assert (found["inputs"][0]["shape"], found["batch_sizes"]) == ((1, 2), [8])


def test_what_the_artifact_says_itself_cannot_be_stated_otherwise(tmp_path):
    path = graphs.table(tmp_path / "m.onnx", rows=100)
    assert describe(path, probe=False, types={"ids": "LONG"})["inputs"][0]["type"] == "INT64"
    with pytest.raises(Faults, match="--type ids is 'FLOAT32'; allowed: INT64, as the artifact"):
        describe(path, probe=False, types={"ids": "FLOAT32"})
    compiled = tmp_path / "compile-fp32.json"
    segment = {"input_tensor_map": {"x": [1, 4]}, "compiled_model": [{"compiled_bs": 2}]}
    compiled.write_text(json.dumps({"segments": [segment], "input_type": ["FLOAT32"]}))
    found = describe(compiled, shapes={"x": [1, 4]})
    assert (found["batch"]["origin"], found["batch_sizes"]) == ("compiled", [2])
    with pytest.raises(Faults) as error:
        describe(compiled, shapes={"x": [2, 4], "z": [1]}, batch_axis=[["", 0]])
    for said in ("--shape is 'z'", "--shape x is '2,4'", "--batch_axis is"):
        assert said in str(error.value)


def test_channels_are_read_from_the_weights(tmp_path):
    found = describe(graphs.first_layer(tmp_path / "m.onnx", channels=5))
    assert found["inputs"][0]["shape"] == (1, 5, 224, 224)


def test_an_input_without_a_shape_is_asked_for(tmp_path):
    path = graphs.without_a_shape(tmp_path / "m.onnx")
    with pytest.raises(Faults, match="the shape of x is missing.*--shape x="):
        describe(path, probe=False)
    assert describe(path, shapes={"x": [1, 4]})["inputs"][0]["shape"] == (1, 4)


def test_positions_count_and_a_cache_begins_empty(tmp_path):
    found = describe(graphs.decoder(tmp_path / "m.onnx"))
    shapes = {each["name"]: each["shape"] for each in found["inputs"]}
    assert shapes == {
        "input_ids": (1, 128),
        "position_ids": (1, 128),
        "attention_mask": (1, 128),
        "past.0.key": (1, 2, 0, 4),
    }
    feeds = GivenItems(model_info_of(found, "m", tmp_path), {}, 0).feeds(0, 2)
    assert feeds["position_ids"].tolist() == [list(range(128))] * 2
    assert feeds["past.0.key"].shape == (2, 2, 0, 4)


def test_a_value_beyond_a_table_that_only_a_trial_shows(tmp_path):
    path = graphs.table_after_a_sum(tmp_path / "m.onnx", rows=100)
    (each,) = describe(path)["inputs"]
    assert each["shape"] == (1, 128) and each["range"] == (0, 64)
    found = describe(graphs.table(tmp_path / "n.onnx", rows=100))
    assert found["inputs"][0]["range"] == (0, 100)
    assert any("table of 100 rows" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("content", "suffix", "asked", "said"),
    [
        (b"no model", ".onnx", {}, "cannot be read as an ONNX model"),
        (b"x", ".engine", {}, "--shape images=1,3,224,224 --type images=FLOAT32"),
        (b"x", ".engine", {"shapes": {"a": [1]}}, "the type of a"),
        (b"x", ".engine", {"shapes": {"a": [1]}, "types": {"a": "FLOAT23"}}, "did you mean"),
        (b'{"segments": []}', ".json", {}, "names no inputs"),
    ],
)
def test_what_says_too_little(tmp_path, content, suffix, asked, said):
    path = tmp_path / f"m{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        describe(path, **asked)
    assert said in str(error.value)


def test_a_format_of_the_backends_own_is_described_by_flags(tmp_path):
    path = tmp_path / "m.engine"
    path.write_bytes(b"x")
    found = describe(path, shapes={"a": [1, 2]}, types={"a": "INT8"}, ranges={"a": [0, 5]})
    assert (
        found["inputs"][0]["range"] == [0, 5]
        and found["kind"] == "file"
        and found["format"] == "engine"
    )


def test_ranges_and_states_name_inputs_of_the_file(tmp_path):
    path = graphs.recurrent(tmp_path / "m.onnx")
    for asked, said in (
        ({"ranges": {"sx": [0, 1]}}, "--range is 'sx'"),
        ({"states": {"state": "output"}}, "an output of the input's shape"),
    ):
        with pytest.raises(Faults) as error:
            describe(path, **asked)
        assert said in str(error.value)
    assert describe(path, states={})["states"] == {}


def test_own_items_are_begun_again_and_the_rest_is_generated(tmp_path):
    found = describe(graphs.recurrent(tmp_path / "m.onnx"), shapes={"input": [1, 2]})
    np.save(tmp_path / "x.npy", np.array([[1, 2], [3, 4]], np.float32))
    files = ArtifactService().read_data(
        found, {"input": str(tmp_path / "x.npy")}, str(tmp_path / "out")
    )
    data = open_given(model_info_of(found, "m", tmp_path), {**files, "states": found["states"]}, 0)
    assert (data.kind, data.items) == ("given", 2)
    assert data.why == "sr: generated; state: zeros", "which inputs are not the user's own"
    feeds = data.dataset.source(0).feeds(1, 3)
    assert feeds["input"].tolist() == [[3, 4], [1, 2], [3, 4]]
    assert feeds["state"].shape == (1, 3, 1) and not feeds["state"].any()
    assert feeds["sr"] == 16000
    with pytest.raises(Faults, match="--data is 'inputs'.*did you mean 'input'"):
        ArtifactService().read_data(found, {"inputs": "x"}, str(tmp_path / "out"))


def test_a_state_is_fed_back_and_each_thread_has_its_own(tmp_path):
    import threading

    import onnxruntime

    session = onnxruntime.InferenceSession(str(graphs.recurrent(tmp_path / "m.onnx")))
    names = [output.name for output in session.get_outputs()]
    target = target_of(
        lambda feeds: dict(zip(names, session.run(names, feeds))), states={"state": "stateN"}
    )
    feeds = {
        "input": np.ones((1, 4), np.float32),
        "state": np.zeros((1, 1, 1), np.float32),
        "sr": np.array(16000),
    }
    assert [float(target(feeds)["stateN"].item()) for _ in range(3)] == [4, 8, 12]
    other = []
    thread = threading.Thread(target=lambda: other.append(float(target(feeds)["stateN"].item())))
    thread.start()
    thread.join()
    assert other == [4]


IR = """<net name="m" version="11"><layers>
<layer id="0" name="x" type="Parameter"><data shape="?,4" element_type="f32"/></layer>
<layer id="1" name="y" type="Result"/></layers></net>"""


def test_openvinos_xml_says_what_it_takes(tmp_path):
    file = tmp_path / "m.xml"
    file.write_text(IR)
    with pytest.raises(UserError, match=r"has no m\.bin beside it"):
        describe(file)
    file.with_suffix(".bin").write_bytes(b"")
    found = describe(file)
    (x,) = found["inputs"]
    assert (x["name"], x["shape"], x["type"], x["batch_axis"]) == ("x", (1, 4), "FLOAT32", 0)
    assert (found["format"], found["outputs"]) == ("openvino", ["y"])
    stated = describe(file, shapes={"x": [8, 4]}, batch_sizes=[8])
    assert stated["inputs"][0]["shape"] == (1, 4)
    with pytest.raises(Faults):
        describe(file, shapes={"z": [1, 4]})
    file.write_text("<html><body>Not found</body></html>")
    with pytest.raises(UserError, match="is an HTML page"):
        describe(file)
