"""Files and values that a person, a vendor or a stranger may have damaged: each parser accepts them
or refuses them with a user's error. Mutations are drawn from a fixed seed, so that a failure stays.
"""

from __future__ import annotations

import copy
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest

from qs.base import jsonc
from qs.base.errors import UserError
from qs.cli import basic_types, types
from qs.cli.defaults import project_file
from qs.config.compile_result import check_compile_result
from qs.config.interact import load_interact
from qs.config.model_info import load_model_info
from qs.config.qs_config import parse_qs_config
from qs.config.workload import check_workload
from qs.environments.identity import identity
from qs.environments.requirements_file import read
from qs.environments.satisfied import unmet
from qs.evaluate.artifacts import ARTIFACT, take
from qs.evaluate.checks import segment_tensors
from qs.inside.artifact import ArtifactService
from qs.interact.asking import read_answers
from qs.interact.settling import settle
from qs.models import pth, resolve_data
from qs.models.path import obtain
from qs.models.request import ModelRequest

DRAWS = 120
LONE = "\ud800"
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    5,
    2**70,
    1e308,
    0.5,
    "",
    "\0",
    LONE,
    "²",
    "/",
    "..",
    "x" * 5000,
    "9" * 5000,
    "http://[::1",
    "~nosuchuser/x",
    "/dev/zero",
    [],
    [[]],
    [None],
    [5] * 3,
    {},
    {LONE: LONE},
    {"": None},
    {"a": {"b": [1, {"c": None}]}},
]
MODEL_INFO = {
    "model": "m",
    "model_path": "m.onnx",
    "framework": "Onnx",
    "framework_version": "1.12",
    "model_format": "onnx",
    "model_precision": "FP32",
    "dataset_name": "d",
    "max_batch_size": 64,
    "is_quantized": False,
    "inputs": "x,y",
    "outputs": "z",
    "input_shape": {"x": [1, 3], "y": [1]},
    "input_type": "FLOAT32,INT64",
    "input_range": {"x": [0, 1]},
    "sources": [
        {"kind": "path"},
        {"kind": "url", "url": "https://h/x.onnx", "sha256": "0" * 64, "bytes": 5},
        {"kind": "pypi", "package": "a==1", "file": "a/m.onnx", "sha256": "0" * 64},
        {
            "kind": "build",
            "builder": "b.py:f",
            "kwargs": {"n": 1},
            "files": {"w": [{"kind": "url", "url": "https://h/x", "sha256": "0" * 64}]},
        },
    ],
}
WORKLOAD = {
    "model": "m",
    "test_perf": True,
    "test_accuracy": False,
    "clients": 3,
    "iterations": 10,
    "batch_sizes": [1, 4],
    "fake_data": False,
    "data_percent": 50,
}
PROFILE = [
    {
        "name": "a",
        "note": "A?",
        "dialog_type": "Radiolist Dialog",
        "type": "int",
        "default": 1,
        "options": [1, 2],
        "depends": None,
    },
    {"name": "b", "dialog_type": "Yes/No Dialog", "type": "bool", "default": True, "depends": "a"},
    {"name": "c", "dialog_type": "Input Dialog", "type": "float", "default": 0.5, "depends": "a,b"},
]
QS_CONFIG = {
    "qs_version": 2,
    "runner": "backend",
    "pool": "thread",
    "instances": 2,
    "clients": 4,
    "iterations": 10,
    "batch_sizes": [1, 2],
    "affinity": [[0], [1]],
    "intra_op_threads": 1,
    "warmup": {"iterations": 1, "seconds": 0.5},
    "scenarios": [
        {"name": "Server", "target_qps": 5, "latency_slo_ms": 3, "percentile": 99.0, "seed": 3},
        {"name": "Stages", "stages": [[1.0, 5.0], [2.0, 7.0, True]], "arrivals": "even"},
        {"name": "Replay", "due_file": "due.txt", "column": "c", "speed": 2.0},
    ],
    "batching": {"max_batch_size": 4, "max_delay_us": 10.0},
    "timeout_s": 5.0,
    "samples": {"count": 3, "seed": 1},
    "verify": "all",
}
COMPILED = {
    "model": "m",
    "framework": "Onnx",
    "compile_precision": "FP32",
    "optimizations": {},
    "instance_count": 1,
    "device_count": 1,
    "input_type": ["FLOAT32"],
    "max_batch_size": 8,
    "compile_status": "success",
    "sg_percent": 100,
    "segments": [
        {
            "sg_idx": 0,
            "is_fallback": False,
            "input_tensor_map": {"x": [1, 3]},
            "output_tensor_map": ["z"],
            "compiled_model": [{"compiled_bs": 1, "compiled_obj": "m.bin"}],
        }
    ],
    ARTIFACT: {
        "format": 1,
        "hardware": "XXX",
        "model": "m",
        "seconds": 1.5,
        "versions": {"compile": "1"},
        "answers": {"a": 1},
        "batch_sizes": [1],
        "model_info": {"input_shape": {"x": [1, 3]}, "input_type": "FLOAT32", "outputs": "z"},
        "files": [{"key": "k", "path": "/none", "bytes": 3, "sha256": "0"}],
    },
}


def mutated(value: Any, draw: random.Random) -> Any:
    """A copy of plain data with one to three places changed: replaced, removed, added, renamed."""
    changed = copy.deepcopy(value)
    for _ in range(draw.randint(1, 3)):
        place = draw.choice(list(_containers(changed)) or [None])
        if place is None:
            return draw.choice(ODD)
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw.choice(keys) if keys else None
        what = draw.randrange(5)
        if key is None or what == 0:
            if isinstance(place, dict):
                place[draw.choice(["new", "", LONE, "\0", "x" * 300])] = draw.choice(ODD)
            else:
                place.append(draw.choice(ODD))
        elif what == 1:
            del place[key]
        elif what == 2 and isinstance(place, dict):
            place[f"{key}s"] = place.pop(key)
        else:
            place[key] = copy.deepcopy(draw.choice(ODD))
    return changed


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _containers(each)


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Bytes with some flipped, cut out, doubled or put in."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(data) + 1)
        length = draw.choice([1, 1, 2, 8, 100])
        what = draw.randrange(4)
        if what == 0 and at < len(data):
            data[at] ^= 1 << draw.randrange(8)
        elif what == 1:
            del data[at : at + length]
        elif what == 2:
            data[at:at] = data[at : at + length]
        else:
            odd = draw.choice([b"\0", b"\xff", "²".encode(), b"[", b'"', b"9" * 5000, b"\n", b"%("])
            data[at:at] = odd
    return bytes(data)


def only_user_errors(parse: Callable[[], object]) -> None:
    try:
        parse()
    except UserError as error:
        assert len(str(error)) < 20_000
        str(error).encode()


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def workload(path: Path) -> None:
    check_workload(jsonc.read(path), str(path), "t").result()


def model_info(path: Path) -> None:
    info, _ = load_model_info(path)
    info.to_configs()
    request = ModelRequest(info.to_fetch(), path.parent, 0, print, lambda *_: None)
    try:
        obtain({"kind": "path"}, request)
    except UserError:
        pass
    except Exception as error:
        if type(error).__name__ != "NotHere":
            raise


def profile(path: Path) -> None:
    questions, _ = load_interact(path)
    settle(questions, {"a": 2}, "answers.json")


def answers(path: Path) -> None:
    questions, _ = load_interact(written(path.with_name("profile.json"), PROFILE))
    settle(questions, read_answers(path), str(path))


def artifact(path: Path) -> None:
    taken = take(path, "XXX", None)
    segment_tensors(check_compile_result(taken.raw).result()[0].to_configs())


def described(path: Path) -> None:
    take(path, "XXX", None)
    ArtifactService().describe(str(path), {})


def sources(path: Path) -> None:
    folder = path.parent / "datasets" / "d"
    folder.mkdir(parents=True, exist_ok=True)
    path.replace(folder / "sources.json")
    resolve_data(folder, offline=True)


SOURCES = {"files": {"a.bin": MODEL_INFO["sources"][1:2]}}  # type: ignore[index]
ANSWERS = {"a": 1, "b": "yes", "c": "0.5"}


@pytest.mark.parametrize(
    ("parse", "valid"),
    [
        (workload, WORKLOAD),
        (model_info, MODEL_INFO),
        (profile, PROFILE),
        (answers, ANSWERS),
        (artifact, COMPILED),
        (described, COMPILED),
        (sources, SOURCES),
    ],
)
def test_json_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parse: Callable[[Path], None], valid: Any
) -> None:
    monkeypatch.setenv("QS_CACHE", str(tmp_path / "cache"))
    draw = random.Random(13)
    path = tmp_path / "file.json"
    for _ in range(DRAWS):
        only_user_errors(lambda: parse(written(path, mutated(valid, draw))))
    text = json.dumps(valid).encode()
    for _ in range(DRAWS):
        path.write_bytes(damaged(text, draw))
        only_user_errors(lambda: parse(path))


def test_the_valid_ones_are_valid(tmp_path: Path) -> None:
    workload(written(tmp_path / "w.json", WORKLOAD))
    model_info(written(tmp_path / "m.json", MODEL_INFO))
    profile(written(tmp_path / "p.json", PROFILE))
    answers(written(tmp_path / "a.json", ANSWERS))
    parse_qs_config(QS_CONFIG, "config")
    check_compile_result(COMPILED).result()


def _compile_result(raw: object) -> None:
    segment_tensors(check_compile_result(raw).result()[0].to_configs())


def _compile_result(raw: object) -> None:
    segment_tensors(check_compile_result(raw).result()[0].to_configs())


@pytest.mark.parametrize("seed", [1, 2])
def test_values_of_a_vendor(seed: int) -> None:
    """They never were JSON: keys may be anything."""
    draw = random.Random(seed)
    for _ in range(DRAWS):
        config, result = mutated(QS_CONFIG, draw), mutated(COMPILED, draw)
        if draw.randrange(4) == 0 and isinstance(config, dict):
            config[draw.choice([5, None, (1, 2), b"x"])] = draw.choice(ODD)
            result = {**result, 5: 5} if isinstance(result, dict) else result
        only_user_errors(partial(parse_qs_config, config, "the QS config"))
        only_user_errors(partial(_compile_result, result))


REQUIREMENTS = """\
# what it needs
numpy>=1.26,<3  # arrays
six==1.16.0 ; python_version >= "3.8"
package[extra]==1.0 \\
    --hash=sha256:00
-r more.txt
-c limits.txt
--index-url https://me:pw@example.org/simple
./local[extra]
-e ~nosuchuser/x
name @ https://example.org/x.whl
${HOME_OF_NOTHING}/x.whl
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_requirements(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    path = tmp_path / "requirements.txt"
    (tmp_path / "more.txt").write_text("six\n")
    (tmp_path / "limits.txt").write_text("six<9\n")

    def parse() -> None:
        lines = read(path)
        unmet(lines)
        identity(tmp_path, lines)

    for text in (b"six==" + b"9" * 5000, b"-r /dev/zero", b"six ; python_version in 5", b"-e /dev"):
        path.write_bytes(text)
        only_user_errors(parse)
    for _ in range(DRAWS):
        path.write_bytes(damaged(REQUIREMENTS.encode(), draw))
        only_user_errors(parse)


def test_requirements_that_include_without_end(tmp_path: Path) -> None:
    """Each includes the next twice: 2**60 files."""
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n-r {number + 1}.txt\n")
    (tmp_path / "60.txt").write_text("")
    with pytest.raises(UserError, match="includes more than"):
        read(tmp_path / "0.txt")


def test_a_line_of_blanks_takes_no_square_of_its_length(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("six" + " " * 300_000 + "x")
    assert len(read(path)) == 1  # 4e10 steps would never end


def test_project_files(tmp_path: Path) -> None:
    draw = random.Random(5)
    path = tmp_path / "qs.cfg"
    valid = b"[qs]\nout = there\nclients: 2\nslo =\n  p99=5ms\n  errors=1%\n[qs.run]\nquiet = yes\n"
    for _ in range(3 * DRAWS):
        path.write_bytes(damaged(valid, draw))
        only_user_errors(lambda: project_file(tmp_path))


def test_a_project_file_with_a_nul_is_refused(tmp_path: Path) -> None:
    (tmp_path / "qs.cfg").write_bytes(b"[qs]\nout = a\0b\n")
    with pytest.raises(UserError, match="NUL"):
        project_file(tmp_path)


def test_tensor_files(tmp_path: Path) -> None:
    """Both formats of torch.save, written here opcode by opcode."""
    draw = random.Random(7)
    storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0(K\x02K\x03t(K\x03K\x01t\x89"
    tensor += b"ccollections\nOrderedDict\n)RtR"
    pickle = b"\x80\x02}q\0X\x01\0\0\0wq\1" + tensor + b"s."
    path = tmp_path / "m.pth"

    def archive(content: bytes) -> None:
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("m/data.pkl", content)
            made.writestr("m/data/0", bytes(24))

    archive(pickle)
    assert pth.read(path)["w"].shape == (2, 3)
    whole = path.read_bytes()
    for _ in range(2 * DRAWS):
        archive(damaged(pickle, draw))
        only_user_errors(lambda: pth.read(path))
        path.write_bytes(damaged(whole, draw))
        only_user_errors(lambda: pth.read(path))
    # Tuples of twice the tuple before: a key whose text and hash would take for ever.
    bomb = b"\x80\x02}" + b")" + b"q\0h\0h\0\x86" * 80 + b"K\1s."
    for content in (bomb, b"\x80\x02t.", b"\x80\x02u.", b".", b"\x80\x02R."):
        archive(content)
        with pytest.raises(UserError, match="is not a file of tensors"):
            pth.read(path)


def test_a_tensor_larger_than_memory_made_of_one_number(tmp_path: Path) -> None:
    storage = pth._Storage("<f4", "0", 1)
    tensor = pth._Tensor(storage, 0, (10**6, 10**6), (0, 0))
    with pytest.raises(pth._Refused, match="too large"):
        pth._check_sizes([tensor])


VALUES = "1 0 -1 1.5 nan inf 1e400 ² ٣ 1, ,1 1,2 0-3/4-7 0-2-3 3% 1e-9% a=1 a=1,2 =1 a= 10s:1 ~ x"
CONVERTERS = [
    types.Seconds(),
    basic_types.Finite(100),
    basic_types.Whole(1, 100),
    basic_types.OneOf(["a", "b"]),
    basic_types.FilePath(),
    types.WholeNumbers(),
    types.Words(["a", "b"]),
    types.WarmUp(),
    types.SharePercent(),
    types.Scenario(),
    types.Rates(),
    types.CpuSets(),
    types.Named(types.whole_shape, "shape", "x=1,2"),
    types.Named(types.interval, "range", "x=0,1"),
]


@pytest.mark.parametrize("convert", CONVERTERS, ids=lambda each: each.name)
def test_values_of_options(convert: click.ParamType) -> None:
    draw = random.Random(11)
    known = [
        *VALUES.split(),
        "",
        " ",
        "\0",
        "9" * 5000,
        LONE,
        "a=" + "9" * 5000,
        "-" * 50,
        "1" * 400,
    ]
    drawn = ["".join(draw.sample(known, 2)) for _ in range(DRAWS)]
    for text in [*known, *drawn]:
        try:
            convert.convert(text, None, None)
        except click.BadParameter as error:
            assert len(error.message) < 12_000
