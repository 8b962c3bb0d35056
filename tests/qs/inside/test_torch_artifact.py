from __future__ import annotations

import pytest

from qs.base.errors import UserError
from qs.inside.artifact import ArtifactService
from qs.inside.torch_artifact import with_batch
from qs.tensors.onnx_io import FileTensor
from tests.qs.tensors import torch_archives as made

ASKED = {"shapes": {}, "types": {}, "batch_sizes": [], "batch_axis": []}


def described(path, **asked):
    return ArtifactService().describe(str(path), {**ASKED, **asked})


def test_an_exported_program_describes_itself(tmp_path):
    found = described(made.exported(tmp_path / "net.pt2"))
    assert (found["format"], found["outputs"]) == ("pt2", ["relu"])
    (image,) = found["inputs"]
    assert (image["name"], image["type"], list(image["shape"])) == (
        "image",
        "FLOAT32",
        [1, 1, 8, 8],
    )
    assert image["batch_axis"] == 0 and found["batch_sizes"] == []


def test_a_batch_that_the_export_fixed_is_one_call(tmp_path):
    content = made.graph()
    content["graph_module"]["graph"]["tensor_values"]["image"]["sizes"][0] = {"as_int": 4}
    path = made.exported(tmp_path / "net.pt2", content)
    found = described(path)
    assert (list(found["inputs"][0]["shape"]), found["batch_sizes"]) == ([4, 1, 8, 8], [1])
    assert described(path, batch_axis=[["", 0]])["batch_sizes"] == [4]


@pytest.mark.parametrize(
    ("shapes", "called"),
    [
        ([("s1", 3), ("s1", "s2")], [("batch", 3), ("batch", "s2")]),
        ([(2, 3), ("s1",)], [(2, 3), ("batch",)]),
        ([(2, "s1"), ()], [(2, "s1"), ()]),
    ],
)
def test_the_first_open_dimension_is_the_batch(shapes, called):
    tensors = [FileTensor(str(at), shape, "tensor(float)") for at, shape in enumerate(shapes)]
    assert [each.shape for each in with_batch(tensors)] == called


def test_an_exported_program_that_would_run_code_is_not_described(tmp_path):
    path = made.exported(tmp_path / "net.pt2", made.graph(target="torch.os.system"))
    with pytest.raises(UserError, match="could run code"):
        described(path)
    with pytest.raises(UserError, match="contains pickled objects"):
        described(made.pickled(tmp_path / "evil.pt2", tmp_path / "witness"))
    assert not (tmp_path / "witness").exists()


IMAGE = {"image": [1, 1, 8, 8]}


def test_torchscript_needs_shapes_and_says_of_what(tmp_path):
    path = made.torchscript(tmp_path / "net.pt")
    with pytest.raises(UserError) as error:
        described(path)
    assert str(error.value) == (
        f"{path} is TorchScript and takes image: Tensor, mask: Optional[Tensor] (may be left out). "
        "It does not say of which shapes: state them, for instance --shape image=1,3,224,224 "
        "--type image=FLOAT32"
    )
    with pytest.raises(UserError, match="takes image: Tensor"):
        described(path, shapes={"image": [1], "other": [1]}, types={"image": "FLOAT32"})
    with pytest.raises(UserError, match="state the type of image"):
        described(path, shapes=IMAGE)


def test_torchscript_is_fed_in_the_order_of_its_code(tmp_path):
    path = made.torchscript(tmp_path / "net.pth")
    shapes, types = {"mask": [1, 8], **IMAGE}, {"mask": "BOOL", "image": "FLOAT32"}
    found = described(path, shapes=shapes, types=types)
    assert [each["name"] for each in found["inputs"]] == ["image", "mask"]
    assert (found["format"], found["notes"]) == ("pt", [])


def test_torchscript_takes_other_names_by_their_places(tmp_path):
    path = made.torchscript(tmp_path / "net.pt")
    found = described(path, shapes={"pixels": [1, 1, 8, 8]}, types={"pixels": "FLOAT32"})
    assert found["notes"] == ["net.pt takes its inputs by their places: pixels is its image"]
    silent = made.torchscript(tmp_path / "silent.pt", code="")
    found = described(silent, shapes=IMAGE, types={"image": "FLOAT32"})
    assert [each["name"] for each in found["inputs"]] == ["image"]
