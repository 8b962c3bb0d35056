"""Small input asks for no unbounded work: it is refused in one message, or done in bounded time."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from qs.base import bounds, jsonc
from qs.base.errors import Faults, UserError
from qs.base.files import read_text
from qs.config.interact import parse_profile
from qs.config.model_info import check_model_info
from qs.config.qs_config import parse_qs_config
from qs.config.workload import check_workload
from qs.evaluate import artifacts
from qs.inside.copies import LoadedCopy
from qs.inside.service import VendorService
from tests.qs.program import qs, refused

RUN = ("run", "--task", "digits-cnn-onnx-fp32", "--hardware_type", "CPU")


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--affinity", "0-9999999", "65,535"),
        ("--affinity", "²", "names no CPUs"),
        ("--affinity", "0-" + "9" * 5000, "names no CPUs"),
        ("--warmup", "²", "neither a count of iterations"),
        ("--warmup", "9" * 5000, "neither a count of iterations"),
        ("--warmup", str(10**13), "iterations"),
        ("--warmup", "²s", "not a time"),
        ("--clients", "²", "not a whole number from 1 to 100,000"),
        ("--clients", str(10**9), "to 100,000"),
        ("--clients", "9" * 5000, "not a whole number from 1 to 100,000"),
        ("--batch_sizes", "²", "not a whole number"),
        ("--batch_sizes", str(10**12), "above 1,000,000"),
        ("--batch_sizes", ",".join(map(str, range(1, 2000))), "at most 1,000"),
        ("--instances", str(10**9), "to 10,000"),
        ("--iterations", str(10**30), "to 1,000,000,000,000"),
        ("--max_backlog", str(10**12), "to 1,000,000"),
        ("--seed", str(2**63), "is not a whole number from 0"),
        ("--rate", "nan", "not a number above 0"),
        ("--rate", "1e300", "up to 1,000,000,000"),
        ("--rate", "²", "not a number above 0"),
        ("--percentile", "nan", "not a number above 0"),
        ("--replay_speed", "inf", "not a number above 0"),
        ("--duration", "1e300", "more than"),
        ("--duration", "inf", "more than"),
        ("--stages", "10s:1e300", "not a stage"),
        ("--stages", "²:1", "not a time"),
        ("--stages", ",".join(["1s:1"] * 2000), "at most 1,000"),
    ],
)
def test_numbers_of_the_command_line(flag: str, value: str, words: str) -> None:
    ran = qs(*RUN, flag, value)
    refused(ran, flag, words)
    assert len(ran.stderr) < 8000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clients", 10**9),
        ("instances", 10**9),
        ("iterations", 10**30),
        ("batch_sizes", [10**12]),
        ("batch_sizes", list(range(1, 100_000))),
        ("affinity", [[10**9]]),
        ("samples", {"count": 10**9}),
        ("samples", {"seed": 2**70}),
        ("timeout_s", 1e300),
        ("warmup", {"seconds": 1e300}),
        ("scenarios", [{"name": "Server", "target_qps": 1e300}]),
        ("scenarios", [{"name": "SingleStream"}] * 5000),
        ("scenarios", [{"name": "Stages", "stages": [[1.0, 1.0]] * 5000}]),
        ("scenarios", [{"name": "MultiStream", "samples_per_query": 10**9}]),
    ],
)
def test_numbers_of_a_qs_config(key: str, value: object) -> None:
    with pytest.raises(Faults) as refusal:
        parse_qs_config({key: value}, "the QS config")
    assert key in str(refusal.value)
    assert len(str(refusal.value)) < 2000


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clients", 10**9),
        ("iterations", 10**30),
        ("batch_sizes", [10**12]),
        ("batch_sizes", [1] * 100_000),
    ],
)
def test_numbers_of_a_workload(key: str, value: object) -> None:
    (fault,) = check_workload({key: value}, "w.json", "t").faults
    assert fault.key.startswith(key)


def test_a_loaded_batch_size_that_no_batch_can_have() -> None:
    said: list[object] = []
    backend = SimpleNamespace(load=lambda size: None, get_loaded_batch_size=lambda: said[-1])
    for wrong in (10**7, -1, 1.5, "many", [1]):
        said.append(wrong)
        with pytest.raises((RuntimeError, ValueError)):
            LoadedCopy(backend).load(1, None)
    for right in (4, 4.0, "4"):
        said.append(right)
        copy = LoadedCopy(backend)
        copy.load(1, None)
        assert copy.batch_size == 4


@pytest.mark.parametrize("sizes", [[10**12], list(range(1, 100_000)), [0], [-1, 2]])
def test_recommended_batch_sizes_that_cannot_all_be_run(sizes: list[int]) -> None:
    compiler = SimpleNamespace(get_best_batch_size=lambda: sizes)
    service = SimpleNamespace(compiler=compiler, _folder="backends/XXX")
    with pytest.raises(UserError, match=r"get_best_batch_size returned .*allowed: up to 100"):
        VendorService.best_batch_sizes(service, {})  # type: ignore[arg-type]


def test_a_batch_size_recommended_twice_is_one() -> None:
    compiler = SimpleNamespace(get_best_batch_size=lambda: [4, 1, 4])
    service = SimpleNamespace(compiler=compiler, _folder="backends/XXX")
    assert VendorService.best_batch_sizes(service, {}) == [4, 1]  # type: ignore[arg-type]


def test_a_folder_named_in_a_compile_result_is_not_read_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "MOST_FILES", 3)
    large = tmp_path / "work" / "large"
    large.mkdir(parents=True)
    for number in range(5):
        (large / str(number)).touch()
    said: list[str] = []
    raw = {"cache": "./large", "devices": "/proc", "zeros": "/dev/zero"}
    path = tmp_path / "compile-fp32.json"
    files = artifacts.leave(path, raw, {}, tmp_path / "work", said.append)
    assert [each["sha256"] for each in files] == [None, None, None]
    assert "more than 3 files" in said[0] and "the kernel's" in said[1]
    assert artifacts.take(path, "XXX", None).raw["cache"] == str(large)
    # One that grew beyond it since is another one.
    monkeypatch.setattr(artifacts, "MOST_FILES", 5)
    artifacts.leave(path, raw, {}, tmp_path / "work", said.append)
    (large / "6").touch()
    with pytest.raises(Faults, match="the file that was compiled"):
        artifacts.take(path, "XXX", None)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: os.mkfifo(path), "is a pipe"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device"),
        (lambda path: path.write_bytes(b"x" * 2000), "larger than"),
        (lambda path: path.write_bytes(b"a\0b"), "NUL character (byte 1)"),
        (lambda path: path.write_bytes(b"\xff"), "not UTF-8"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_is_no_text_file_is_told_as_what_it_is(tmp_path: Path, make, words: str) -> None:
    path = tmp_path / "file"
    make(path)
    with pytest.raises(UserError) as refusal:
        read_text(path, 1000)
    assert str(refusal.value).startswith(str(path)) and words in str(refusal.value)


def test_a_name_that_is_too_long_is_shortened() -> None:
    with pytest.raises(UserError) as refusal:
        read_text("x" * 5000)
    assert "too long" in str(refusal.value) and len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["\\ud800"]', "half of a surrogate pair"),
        ('{"\\udcff": 1}', "half of a surrogate pair"),
        ("[" * 101 + "]" * 101, "nested too deeply"),
        ("[1e999]", "too large a number"),
        ("[1 /* never closed", "not closed"),
        ("[,]", "not JSON"),
    ],
)
def test_json_that_could_not_be_kept(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        jsonc.loads(text, "w.json")


MANY = 20_000
NAMES = [f"q{number}" for number in range(MANY)]


@pytest.mark.parametrize(
    "check",
    [
        lambda: check_workload(dict.fromkeys(NAMES, 1), "w.json", "t").result(),
        lambda: check_model_info(dict.fromkeys(NAMES, 1), "m.json").result(),
        lambda: check_model_info(
            {
                "input_shape": {f"k{number}": 5 for number in range(MANY)},
                "inputs": NAMES,
                "input_type": ["x"] * MANY,
                "input_range": {f"z{number}": 5 for number in range(MANY)},
            },
            "m.json",
        ).result(),
        lambda: parse_qs_config(dict.fromkeys(NAMES, 1), "the QS config"),
        lambda: parse_qs_config({"scenarios": [dict.fromkeys(NAMES, 1)]}, "the QS config"),
        lambda: parse_profile([{"name": name} for name in NAMES]),
    ],
)
def test_many_faults_are_counted_and_few_looked_into(check) -> None:
    """The nearest of 20,000 names to each of 20,000 would never be found."""
    try:
        _, warnings = check()
    except UserError as error:
        assert len(str(error)) < 20_000
    else:
        assert any("20,000 unknown keys" in text for text in warnings) and len(warnings) < 100


def test_an_emoji_is_a_character() -> None:
    assert jsonc.loads('["\\ud83d\\ude00"]', "w.json") == ["\U0001f600"]


def test_all_bounds_fit_into_a_result() -> None:
    assert max(value for value in vars(bounds).values() if isinstance(value, int)) == 2**63 - 1
