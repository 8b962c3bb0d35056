"""Tensors out of .pth files without torch and without unpickling; files made here byte for byte,
malicious ones among them.
"""

from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.models import pth

VALUES = np.arange(6, dtype="<f4")


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def tensor(key="0", kind="FloatStorage", count=6, offset=0, shape=(2, 3), strides=(3, 1)) -> bytes:
    """The opcodes that torch writes for one tensor."""
    whole = lambda numbers: b"(" + b"".join(b"K" + bytes([number]) for number in numbers) + b"t"  # noqa: E731
    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu")
    storage += b"K" + bytes([count]) + b"tQ"
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K"
        + bytes([offset])
        + whole(shape)
        + whole(strides)
    ) + (hooks + b"tR")


def pickled(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def state(*named: tuple[str, bytes]) -> bytes:
    return pickled(
        b"ccollections\nOrderedDict\n)R("
        + b"".join(text(name) + value for name, value in named)
        + b"u"
    )


def archive(path, data: bytes, storage: bytes = VALUES.tobytes(), top="m"):
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{top}/data.pkl", data)
        made.writestr(f"{top}/data/0", storage)
        made.writestr(f"{top}/byteorder", "little")
        made.writestr("../evil", "outside")
    return path


def older(path, data: bytes, storage: bytes = VALUES.tobytes(), count=6):
    parts = [pth.MAGIC, 1001, {"protocol_version": 1001, "little_endian": True}]
    written = b"".join(pickle.dumps(part, 2) for part in parts) + data + pickle.dumps(["0"], 2)
    path.write_bytes(written + count.to_bytes(8, "little") + storage)
    return path


@pytest.mark.parametrize("write", [archive, older])
def test_tensors_are_read_with_their_shapes_strides_and_offsets(tmp_path, write):
    data = state(
        ("a", tensor()),
        ("turned", tensor(shape=(3, 2), strides=(1, 3))),
        ("one", tensor(offset=5, shape=(), strides=())),
    )
    found = pth.read(write(tmp_path / "m.pth", data))
    assert list(found) == ["a", "turned", "one"]
    np.testing.assert_array_equal(found["a"], VALUES.reshape(2, 3))
    np.testing.assert_array_equal(found["turned"], VALUES.reshape(2, 3).T)
    assert found["one"] == 5 and found["one"].shape == ()


RUNS = {
    "a function": b"cos\nsystem\n(" + text("touch {}") + b"tR",
    "by protocol 4": text("os") + text("system") + b"\x93(" + text("touch {}") + b"tR",
    "a built-in": b"cbuiltins\nexec\n(" + text("open({!r}, 'w').close()") + b"tR",
    "in a tensor's place": b"}(" + text("a") + b"cposix\nsystem\n(" + text("touch {}") + b"tRu",
}


@pytest.mark.parametrize("write", [archive, older])
@pytest.mark.parametrize("what", RUNS)
def test_code_in_a_file_is_refused_and_not_run(tmp_path, write, what):
    mark = tmp_path / "ran"
    command = (
        RUNS[what]
        .replace(text("touch {}"), text(f"touch {mark}"))
        .replace(text("open({!r}, 'w').close()"), text(f"open({str(mark)!r}, 'w').close()"))
    )
    file = write(tmp_path / "m.pth", pickled(command))
    with pytest.raises(
        UserError, match=r"m\.pth is not a file of tensors: it names .*, which is code"
    ) as refused:
        pth.read(file)
    assert "\n" not in str(refused.value)
    assert not mark.exists()
    pickle.loads(pickled(command))  # the file does bite: unpickling it runs the command
    assert mark.exists()


@pytest.mark.parametrize(
    ("data", "storage", "message"),
    [
        (state(("a", tensor())), VALUES.tobytes()[:-1], "is truncated"),
        (
            state(("a", tensor(shape=(2, 4), strides=(4, 1)))),
            VALUES.tobytes(),
            "exceeds its storage",
        ),
        (state(("a", tensor(offset=1))), VALUES.tobytes(), "exceeds its storage"),
        (
            state(("a", tensor(kind="TypedStorage"))),
            VALUES.tobytes(),
            "it names torch.TypedStorage",
        ),
        (pickled(b"K\x01"), VALUES.tobytes(), "is not a dict of tensors"),
        (pickled(b"(ios\nsystem\n"), VALUES.tobytes(), "the opcode INST"),
        (b"\x80\x02}q", VALUES.tobytes(), "pickle exhausted|not enough data|expected"),
        (b"", VALUES.tobytes(), "pickle exhausted"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, data, storage, message):
    with pytest.raises(UserError, match=message) as refused:
        pth.read(archive(tmp_path / "m.pth", data, storage))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 a truncated archive"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "m.pth").write_bytes(content)
    with pytest.raises(UserError, match="is not a file of tensors"):
        pth.read(tmp_path / "m.pth")


def test_torch_writes_what_is_read_here(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm2d(3)
    for new in (True, False):
        torch.save(layer.state_dict(), tmp_path / "m.pth", _use_new_zipfile_serialization=new)
        found = pth.read(tmp_path / "m.pth")
        assert list(found) == list(layer.state_dict())
        for name, value in layer.state_dict().items():
            np.testing.assert_array_equal(found[name], value.numpy())
