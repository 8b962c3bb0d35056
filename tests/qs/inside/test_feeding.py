"""What a model file is fed: own items, ranges and fills hold in the trial too, what fails because
of values is told from what fails because of shapes, and a BOOL that chooses a branch stays put.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from qs.artifact import model_info_of
from qs.base.errors import Faults, UserError
from qs.inside.artifact import ArtifactService
from qs.inside.samples import open_given
from tests.qs.artifact import graphs


def describe(path: Path, **asked):
    return ArtifactService().describe(str(path), {"probe": True, **asked})


def fed(found, **given):
    """The first batches that a run of this description is fed."""
    data = open_given(model_info_of(found, "m", Path("m.onnx")), given, 0)
    return [data.dataset.source(0).feeds(at, 1) for at in range(40)]


def test_a_value_out_of_bounds_is_told_as_that_and_not_as_a_wrong_shape(tmp_path):
    path = graphs.table(tmp_path / "m.onnx", rows=100)
    with pytest.raises(UserError) as error:
        describe(path, ranges={"ids": [0, 1000]})
    said = str(error.value)
    assert "not the values: ids was fed" in said and "out of data bounds" in said
    for flag in ("--range ids=LOW,HIGH", "--data ids=FILE", "--fill zeros"):
        assert flag in said
    assert "--shape" not in said


@pytest.mark.parametrize("way", ["range", "zeros", "data", "mixed"])
def test_a_trial_is_fed_what_the_run_will_be_fed(tmp_path, way):
    path = graphs.table(tmp_path / "m.onnx", rows=100)
    np.save(tmp_path / "ids.npy", np.random.default_rng(0).integers(0, 100, (10, 16)))
    asked = {
        "range": {"ranges": {"ids": [0, 100]}},
        "zeros": {"fill": "zeros"},
        "data": {"data": {"ids": str(tmp_path / "ids.npy")}},
        "mixed": {"ranges": {"ids": [0, 100]}, "fill": "zeros"},
    }[way]
    found = describe(path, **asked)
    length = 16 if way == "data" else 128
    assert found["inputs"][0]["shape"] == (1, length), "the first guess holds, or the data's shape"
    if way == "zeros":
        why = open_given(model_info_of(found, "m", path), {"fill": "zeros"}, 0).why
        assert why == "a model file has no data set; ids: zeros"
    if way == "mixed":
        assert any("ids is drawn from its --range" in each for each in found["notes"])
        assert any(feeds["ids"].any() for feeds in fed(found, fill="zeros", ranged=["ids"]))


def test_own_values_that_a_model_does_not_take_are_named_with_their_file(tmp_path):
    path = graphs.recurrent(tmp_path / "m.onnx")
    np.save(tmp_path / "rate.npy", np.array([8000]))
    with pytest.raises(Faults, match="an existing file"):
        describe(path, data={"sr": str(tmp_path / "gone.npy")})
    table = graphs.table(tmp_path / "t.onnx", rows=5)
    np.save(tmp_path / "ids.npy", np.array([[1, 2, 77]]))
    found = describe(table, data={"ids": str(tmp_path / "ids.npy")})
    assert found["inputs"][0]["shape"] == (1, 3), "nothing is guessed, so compiling tries it"


@pytest.mark.parametrize("probe", [True, False])
def test_items_that_do_not_fit_a_guess_say_that_it_is_one(tmp_path, probe):
    path = graphs.needs_multiple_of(tmp_path / "m.onnx", 48)
    np.zeros((2, 3, 48, 48), np.float32).tofile(tmp_path / "x.raw")
    with pytest.raises(Faults, match=r"\[1, 3, 224, 224\] is a guess for \[N, 3, H, W\]; --shape"):
        found = describe(path, probe=probe, data={"x": str(tmp_path / "x.raw")})
        ArtifactService().read_data(found, {"x": str(tmp_path / "x.raw")}, str(tmp_path / "out"))


def test_a_format_of_the_backends_own_has_its_bools_pinned_too(tmp_path):
    (tmp_path / "m.engine").write_bytes(b"x")
    types = {"go": "BOOL", "x": "FLOAT32"}
    found = describe(tmp_path / "m.engine", shapes={"go": [], "x": [1, 2]}, types=types)
    assert "go is false in every query" in found["notes"][0]


def test_two_inputs_and_one_culprit(tmp_path):
    """Only the input whose values fail is named."""
    rows = onnx.load(str(graphs.table(tmp_path / "a.onnx", 50, name="kind")))
    other = rows.graph.input.add()
    other.CopyFrom(rows.graph.input[0])
    other.name = "harmless"
    rows.graph.node.add(op_type="Identity", input=["harmless"], output=["z"])
    rows.graph.output.add().CopyFrom(other)
    rows.graph.output[1].name = "z"
    onnx.save(rows, str(tmp_path / "m.onnx"))
    with pytest.raises(UserError) as error:
        describe(tmp_path / "m.onnx", ranges={"kind": [0, 999], "harmless": [0, 999]})
    assert "kind was fed" in str(error.value) and "harmless" not in str(error.value)


def test_a_range_that_cannot_be_kept_is_refused_before_the_trial(tmp_path):
    path = graphs.of_all_types(tmp_path / "m.onnx")
    for probe in (True, False):  # a dry run does not try, and refuses all the same
        with pytest.raises(Faults) as error:
            describe(
                path,
                probe=probe,
                ranges={"text": [0, 1], "half": [0, 1e6], "flag": [0, 9], "ids": [0, 1e20]},
            )
        assert len(error.value.faults) == 4
        for said in ("--range text is '0,1'", "65504, for FLOAT16", "0 to 2 for BOOL", "INT64"):
            assert said in str(error.value)


@pytest.mark.parametrize("shape", [(1,), (), ("N",), ("N", 1)])
def test_a_bool_that_chooses_a_branch_has_one_value(tmp_path, shape):
    path = graphs.merged(tmp_path / "m.onnx", shape)
    found = describe(path)
    assert not any(feeds["use_cache"].any() for feeds in fed(found))
    (note,) = (each for each in found["notes"] if "use_cache" in each)
    assert "--range use_cache=1,1" in note
    told = describe(path, ranges={"use_cache": [1, 1]})
    assert all(feeds["use_cache"].all() for feeds in fed(told))
    (note,) = (each for each in told["notes"] if "use_cache" in each)
    assert note.startswith("use_cache is true in every query, by its --range")


def test_a_type_that_the_file_does_not_have_is_refused(tmp_path):
    path = graphs.table(tmp_path / "m.onnx", rows=1000)
    assert describe(path, types={"ids": "LONG"})["inputs"][0]["type"] == "INT64"
    with pytest.raises(Faults) as error:
        describe(path, types={"ids": "INT32", "idz": "INT64"})
    for said in ("--type ids is 'INT32'; allowed: INT64", "--type is 'idz'", "did you mean 'ids'"):
        assert said in str(error.value)


def test_a_bool_that_is_data_is_drawn(tmp_path):
    found = describe(graphs.of_all_types(tmp_path / "m.onnx"))
    assert {feeds["flag"].sum() for feeds in fed(found)} == {0, 1, 2}
    assert not any("flag" in each for each in found["notes"])


def test_a_state_that_is_given_values_is_not_fed_back(tmp_path):
    path = graphs.recurrent(tmp_path / "m.onnx")
    np.save(tmp_path / "h.npy", np.ones((3, 1, 1, 1), np.float32))
    assert describe(path, data={"state": str(tmp_path / "h.npy")})["states"] == {}
    assert describe(path, ranges={"state": [-1, 1]})["states"] == {}


def test_items_of_several_inputs_go_together_or_are_refused(tmp_path):
    found = describe(graphs.named(tmp_path / "m.onnx", "a", "b", "c"))
    for name, count in (("ten", 10), ("seven", 7), ("one", 1)):
        np.save(tmp_path / f"{name}.npy", np.ones((count, 1), np.float32))

    def read(**given):
        files = {name: str(tmp_path / f"{file}.npy") for name, file in given.items()}
        return ArtifactService().read_data(found, files, str(tmp_path / "out"))

    with pytest.raises(Faults, match="a: 10, b: 7"):
        read(a="ten", b="seven")
    data = open_given(model_info_of(found, "m", tmp_path), read(a="ten", b="one"), 0)
    assert (data.items, data.why) == (10, "c: generated")
    assert (
        open_given(model_info_of(found, "m", tmp_path), read(a="ten", b="one", c="ten"), 0).why
        == ""
    )


NAMES = (
    "age, years",
    " workclass",
    "income ($) ",
    "a/b:0",
    "年齢",
    "my input",
    "x.1",
    "a=b",
    "n,m",
)


def test_any_names_reach_the_model_as_they_are(tmp_path):
    from qs.config.model_info import check_model_info
    from qs.tensors.generated import input_specs

    path = graphs.named(tmp_path / "m.onnx", *NAMES, outputs=("y", "y"))
    found = describe(path)
    assert found["outputs"] == ["y"], "one tensor, given out twice"
    info, _ = check_model_info(model_info_of(found, "m", path), "m").result()
    configs = info.to_configs()
    assert [spec.name for spec in input_specs(configs)] == list(NAMES)
    assert set(fed(found)[0]) == set(NAMES)


def test_plain_names_stay_one_string_as_published(tmp_path):
    from qs.config.model_info import check_model_info

    found = describe(graphs.named(tmp_path / "m.onnx", "a", "b:0"))
    info, _ = check_model_info(model_info_of(found, "m", tmp_path), "m").result()
    assert (info.to_configs()["inputs"], info.to_configs()["outputs"]) == ("a,b:0", "y")
