"""The runners that a QS config may name in place of the backend: what they are given, and how a
wrong one is named.
"""

from __future__ import annotations

import pytest

from qs.base.errors import UserError
from qs.inside.runners import FactoryRunner, artifact_file

OWN = """
def make(config):
    def predict(feeds):
        return config
    return predict

def make_nothing(config):
    return None
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module with factories, beside the backend's files."""
    (tmp_path / "own_runner.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_factory_gets_the_config_and_its_own_place(own):
    runner = FactoryRunner("own_runner:make", {"clients": 2}, instance=1)
    runner.placement = {"instances": 3, "cpus": [0], "intra_op_threads": None}
    runner.load(8)
    assert runner.get_loaded_batch_size() == 8
    assert runner.predict({}) == {
        "clients": 2,
        "batch_size": 8,
        "instance": 1,
        "instances": 3,
        "cpus": [0],
    }


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("nowhere_at_all:make", "there is no module nowhere_at_all"),
        ("own_runner:mak", "the module own_runner has no function mak"),
        ("own_runner:make_nothing", "returned NoneType"),
    ],
)
def test_a_wrong_factory_is_named(own, reference, reason):
    with pytest.raises(UserError, match=reason):
        FactoryRunner(reference, {}, 0).load(1)


def test_an_artifact_is_found_in_the_places_given(tmp_path):
    (tmp_path / "m.onnx").write_text("")
    compiled = [{"compiled_bs": size, "compiled_obj": f"{size}.onnx"} for size in (1, 4)]
    (tmp_path / "4.onnx").write_text("")
    result = {"segments": [{"compiled_model": compiled}]}
    assert artifact_file("m.onnx", result, [tmp_path], 1) == tmp_path / "m.onnx"
    assert artifact_file(None, result, [tmp_path], 4) == tmp_path / "4.onnx"
    with pytest.raises(UserError, match="no such artifact: none.onnx"):
        artifact_file("none.onnx", result, [tmp_path], 1)
    with pytest.raises(UserError, match="the compile result names none"):
        artifact_file(None, {}, [tmp_path], 1)
