from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qs.base import jsonc
from qs.base.errors import Faults, UserError
from qs.config.workload import Workload, check_workload

PUBLISHED = """{
    "model": "bert-torch-fp32", // the file in model_zoo
    "test_perf": true,
    "test_accuracy": true,
    "test_numeric": true,
    "clients": 3,
    "iterations": 100,
    "batch_sizes":[1,4,8,16,24,],
    "data_percent": 100,
    "compile_only": false,
}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "bert.json"
    file.write_text(text)
    return file


def read(file: Path, overrides: dict | None = None) -> tuple[Workload, list[str]]:
    return check_workload(jsonc.read(file), str(file), file.stem, overrides).result()


def test_a_published_file_as_it_is(tmp_path: Path) -> None:
    workload, warnings = read(write(tmp_path, PUBLISHED))
    assert warnings == []
    assert workload.task == "bert"
    assert workload.model == "bert-torch-fp32"
    assert (workload.clients, workload.iterations, workload.data_percent) == (3, 100, 100)
    assert workload.batch_sizes == (1, 4, 8, 16, 24)
    assert workload.to_configs() == {
        "model": "bert-torch-fp32",
        "test_perf": True,
        "test_accuracy": True,
        "test_numeric": True,
        "clients": 3,
        "iterations": 100,
        "batch_sizes": [1, 4, 8, 16, 24],
        "fake_data": False,
        "data_percent": 100,
        "compile_only": False,
    }


def test_a_duration_takes_the_place_of_iterations(tmp_path: Path) -> None:
    workload, warnings = read(write(tmp_path, '{"model": "m", "duration": 2.5}'))
    assert (workload.duration, workload.to_configs()["duration"], warnings) == (2.5, 2.5, [])
    assert workload.given == {"model", "duration"}


@pytest.mark.parametrize("duration", [0, -1, "3s", True, 1e300])
def test_a_wrong_duration_is_faulted(duration) -> None:
    (fault,) = check_workload({"duration": duration}, "w.json", "t").faults
    assert "duration" in str(fault) and "seconds above 0" in str(fault)


def test_absent_keys_have_defaults_and_only_stated_ones_are_given(tmp_path: Path) -> None:
    workload, _ = read(write(tmp_path, '{"clients": 7}'))
    assert workload.given == {"clients"}
    assert workload.model == "bert", "without a model, the task's own name"
    assert workload == read(write(tmp_path, '{"clients": 7, }'))[0]
    values = (workload.iterations, workload.batch_sizes, workload.data_percent, workload.fake_data)
    assert values == (100, (1,), 100, False)


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ('{"batchsizes": [2, 4]}', "batch_sizes", (2, 4)),
        ('{"batch_sizes": [2, 4]}', "batch_sizes", (2, 4)),
        ('{"batch_sizes": [2], "batchsizes": [2]}', "batch_sizes", (2,)),
        ('{"name": "clip"}', "model", "clip"),
        ('{"data_percent": 1}', "data_percent", 1),
    ],
)
def test_aliases_and_edges(tmp_path: Path, text: str, key: str, expected: object) -> None:
    workload, warnings = read(write(tmp_path, text))
    assert getattr(workload, key) == expected
    assert key in workload.given
    assert warnings == []


@pytest.mark.parametrize(
    ("values", "key", "value", "allowed"),
    [
        ({"clients": 0}, "clients", 0, "a whole number >= 1"),
        ({"clients": True}, "clients", True, "a whole number >= 1"),
        ({"clients": "3"}, "clients", "3", "a whole number >= 1"),
        ({"clients": 2.5}, "clients", 2.5, "a whole number >= 1"),
        ({"clients": None}, "clients", None, "a whole number >= 1"),
        ({"iterations": -1}, "iterations", -1, "per client"),
        ({"iterations": 0}, "iterations", 0, "per client"),
        ({"data_percent": 0}, "data_percent", 0, "from 1 to 100"),
        ({"data_percent": 101}, "data_percent", 101, "from 1 to 100"),
        ({"batch_sizes": []}, "batch_sizes", [], "not empty"),
        ({"batch_sizes": 4}, "batch_sizes", 4, "a list"),
        ({"batch_sizes": [1, 0]}, "batch_sizes[1]", 0, "whole numbers >= 1"),
        ({"batch_sizes": [1, "x"]}, "batch_sizes[1]", "x", "whole numbers >= 1"),
        ({"batchsizes": [-4]}, "batch_sizes[0]", -4, "whole numbers >= 1"),
        ({"batch_sizes": [1], "batchsizes": [2]}, "batchsizes", [2], "the same as 'batch_sizes'"),
        ({"test_perf": "yes"}, "test_perf", "yes", "true or false"),
        ({"fake_data": 1}, "fake_data", 1, "true or false"),
        ({"model": "../x"}, "model", "../x", "a plain name"),
        ({"model": ""}, "model", "", "a plain name"),
        ({"model": 3}, "model", 3, "a plain name"),
        ({"name": "/etc/passwd"}, "model", "/etc/passwd", "a plain name"),
    ],
)
def test_each_fault_has_file_key_value_and_what_is_allowed(
    values: dict, key: str, value: object, allowed: str
) -> None:
    (fault,) = check_workload(values, "w.json", "t").faults
    assert (fault.file, fault.key, fault.value) == ("w.json", key, value)
    assert allowed in fault.allowed


def test_all_faults_at_once(tmp_path: Path) -> None:
    bad = {
        "clients": 0,
        "iterations": -5,
        "batch_sizes": [0, 1, -2],
        "data_percent": 0,
        "test_perf": "no",
    }
    with pytest.raises(Faults) as refused:
        read(write(tmp_path, json.dumps(bad)))
    keys = [fault.key for fault in refused.value.faults]
    expected = [
        "test_perf",
        "clients",
        "iterations",
        "batch_sizes[0]",
        "batch_sizes[2]",
        "data_percent",
    ]
    assert keys == expected


@pytest.mark.parametrize(
    ("key", "meant"),
    [("clents", "'clients'"), ("batch_size", "'batch_sizes'"), ("multi_cores", None)],
)
def test_unknown_keys_warn_and_are_passed_on(tmp_path: Path, key: str, meant: str | None) -> None:
    workload, (warning,) = read(write(tmp_path, json.dumps({key: 5})))
    assert f"unknown key {key!r}" in warning
    assert ("did you mean" in warning) == (meant is not None)
    assert (meant or "") in warning
    assert workload.to_configs()[key] == 5


def test_a_repeated_batch_size_runs_once_and_is_said(tmp_path: Path) -> None:
    workload, (warning,) = read(write(tmp_path, '{"batch_sizes": [4, 1, 4]}'))
    assert workload.batch_sizes == (4, 1)
    assert "names 4 more than once" in warning


def test_flags_replace_the_files_values_and_are_checked_like_them(tmp_path: Path) -> None:
    file = write(tmp_path, '{"clients": 3, "batchsizes": [1], "iterations": 7}')
    overrides = {"clients": 9, "batch_sizes": [2, 4], "iterations": None}
    workload, _ = read(file, overrides)
    assert (workload.clients, workload.batch_sizes, workload.iterations) == (9, (2, 4), 7)
    assert workload.given == {"clients", "batch_sizes", "iterations"}


def test_a_flags_fault_names_the_flag_and_heals_the_files(tmp_path: Path) -> None:
    file = write(tmp_path, '{"clients": 0, "iterations": -1}')
    with pytest.raises(Faults) as refused:
        read(file, {"clients": 2, "data_percent": 0})
    assert str(refused.value).splitlines()[1:] == [
        f"  {file}: iterations is -1; allowed: a whole number >= 1, per client",
        "  --data_percent is 0; allowed: a whole number from 1 to 100",
    ]


@pytest.mark.parametrize("text", ["[1]", "3", "null", '"x"', "true"])
def test_a_file_that_holds_no_object(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match="allowed: one object"):
        read(write(tmp_path, text))


def test_a_workload_cannot_be_changed() -> None:
    value = check_workload({}, "w.json", "t").value
    assert isinstance(value, Workload)
    with pytest.raises(ValueError, match="frozen"):
        value.clients = 4


JSON = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.lists(st.integers())
    | st.floats(allow_nan=False)
)


@given(st.dictionaries(st.sampled_from([*Workload.model_fields, *Workload.ALIASES, "other"]), JSON))
def test_whatever_a_file_holds_it_is_either_right_or_faulted(values: dict) -> None:
    checked = check_workload(values, "w.json", "t")
    assert (checked.value is None) == bool(checked.faults)
    if checked.value is not None:
        assert checked.value.clients >= 1
        assert min(checked.value.batch_sizes) >= 1
        again = check_workload(checked.value.to_configs(), "w.json", "t")
        assert again.value.to_configs() == checked.value.to_configs()
