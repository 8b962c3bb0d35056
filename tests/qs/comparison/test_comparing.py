"""Which cases are compared, and what is refused, named, or allowed anyway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.comparison.comparing import compare_results
from qs.comparison.sides import Side, from_path
from qs.result.keys import title_of
from qs.result.result import Result
from qs.settings.traffic import ScenarioSettings
from tests.qs.comparison.synthetic import HOST, Drawn, write_result

SHORT = Drawn(seconds=3.0, interval_s=0.15)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write_result(tmp_path_factory.mktemp("a"), 1, [SHORT])


def other(path: Path, **changes) -> Side:
    """The same result with another top: only what is unlike is looked at."""
    given = from_path(str(path))
    result = json.loads(json.dumps(given.result.to_dict()))
    for key, value in changes.items():
        *parents, last = key.split("/")
        part = result
        for parent in parents:
            part = part[int(parent)] if isinstance(part, list) else part[parent]
        part[last] = value
    return Side("other", Result.model_validate(result), given.histogram)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Task": "resnet50"}, "task: bert-torch-fp32 against resnet50"),
        ({"Model": "RESNET50"}, "model: BERT-TORCH-FP32 against RESNET50"),
        (
            {"Model Source/sha256": "cd" * 32},
            "model file (SHA-256): abababababab... against cdcdcdcdcdcd...",
        ),
        ({"Host/CPU": "Another"}, "processor: Test CPU against Another"),
        ({"Host/Logical CPUs": 4}, "logical CPUs: 8 against 4"),
        ({"Host/Usable CPUs": [0, 1]}, "CPUs that may be used: 8 against 2"),
        ({"Samples/kind": "generated"}, "samples: dataset squad against generated"),
        (
            {"Effective Values": {"think_time_s": {"value": 0.1, "origin": "x"}}},
            "think_time_s: not stated against 0.1",
        ),
        ({"Verdict": "INVALID", "Reasons": ["3 errors"]}, "other is INVALID: 3 errors"),
        ({"Performance/0/BS": 4}, "no case is in both: BS 1, closed loop"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_unlike_is_refused_by_name(path, changes, said):
    sides = [from_path(str(path)), other(path, **changes)]
    with pytest.raises(UserError) as refused:
        compare_results(sides)
    assert said in str(refused.value)
    assert "--anyway" in str(refused.value)
    assert compare_results(sides, anyway=True).cases


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Backend": "OPENVINO"}, "backend: CPU against OPENVINO"),
        ({"Runtime Version": "1.32.0"}, "runtime: 1.20.0 against 1.32.0"),
        ({"QS Version": "0.2.0"}, "qs: 0.1.0 against 0.2.0"),
        ({"Host/System": "Linux-6.9"}, "system: Linux-6.1-x86_64 against Linux-6.9"),
        ({"Host/Packages/numpy": "2.4.0"}, "package numpy: 2.0.0 against 2.4.0"),
        ({"Kind": "sweep"}, "kind: run against sweep"),
        (
            {"Model Source/format": "onnx", "Model Source/converted": {"by": "torch 2.13.0"}},
            "model given as: not stated against onnx, made by torch 2.13.0",
        ),
        ({"Status": "interrupted"}, "status: complete against interrupted"),
        (
            {"Effective Values": {"affinity": {"value": [[0]], "origin": "x"}}},
            "setting affinity: not stated against [[0]]",
        ),
    ],
)
def test_what_people_want_to_compare_is_only_named(path, changes, said):
    found = compare_results([from_path(str(path)), other(path, **changes)])
    assert said in [str(each) for each in found.comparisons[0].unlike]
    assert len(found.cases) == 1


def test_how_long_it_was_measured_is_no_difference(path):
    longer = other(
        path,
        **{
            "Performance/0/Duration": 60.0,
            "Effective Values": {"duration_s": {"value": 60.0, "origin": "x"}},
        },
    )
    found = compare_results([from_path(str(path)), longer])
    assert found.comparisons[0].unlike == []


def test_all_that_is_unlike_is_said_at_once(path):
    with pytest.raises(UserError) as refused:
        compare_results(
            [from_path(str(path)), other(path, **{"Task": "x", "Model": "Y", "Host/CPU": "Z"})]
        )
    assert len(str(refused.value).splitlines()) == 4


def test_a_seed_or_a_duration_in_the_settings_is_the_same_case(tmp_path):
    def poisson(seed: int, qps: float, seconds: float) -> Drawn:
        scenario = ScenarioSettings("Poisson", rate_per_s=qps, duration_s=seconds, seed=seed)
        return Drawn(seconds=3.0, interval_s=0.15, scenario=scenario)

    a = from_path(
        str(write_result(tmp_path / "a", 1, [poisson(1, 200.0, 3.0), poisson(1, 300.0, 3.0)]))
    )
    b = from_path(
        str(write_result(tmp_path / "b", 2, [poisson(2, 200.0, 9.0), poisson(2, 400.0, 3.0)]))
    )
    found = compare_results([a, b]).comparisons[0]
    assert [case.title for case in found.cases] == [
        "BS 1, Poisson 200/s, 1 client, pool thread, 1 instance"
    ]
    assert [list(map(title_of, rows)) for rows in (found.only_a, found.only_b)] == [
        ["BS 1, Poisson 300/s, 1 client, pool thread, 1 instance"],
        ["BS 1, Poisson 400/s, 1 client, pool thread, 1 instance"],
    ]


def test_unlike_plans_are_matched_by_what_they_share_where_that_is_asked_for(path):
    found = compare_results(
        [
            from_path(str(path)),
            other(
                path,
                **{
                    "Performance/0/Pool": "process",
                    "Performance/0/BS": 4,
                },
            ),
        ],
        anyway=True,
    )
    assert found.comparisons[0].notes == ["no case is in both: matched by being the only one alone"]
    assert "against" in found.cases[0].title


def test_of_three_the_first_is_the_baseline(tmp_path, path):
    slow = write_result(tmp_path, 3, [Drawn(seconds=3.0, interval_s=0.15, base_ns=2.6e6)])
    found = compare_results([from_path(str(each)) for each in (path, path, slow)])
    assert [each.b.name for each in found.comparisons] == [str(path), str(slow)]
    assert {each.a.name for each in found.comparisons} == {str(path)}
    assert [case.verdict for case in found.cases][1] == "slower"
    assert found.headline.verdict == "slower"
    assert found.headline.tests == sum(
        each.p is not None for case in found.cases for each in case.differences
    )


def test_plain_data_of_a_comparison_is_json(tmp_path, path):
    slow = write_result(tmp_path, 3, [Drawn(seconds=3.0, interval_s=0.15, base_ns=2.6e6)])
    said = json.loads(
        json.dumps(compare_results([from_path(str(path)), from_path(str(slow))]).to_dict())
    )
    (case,) = said["comparisons"][0]["cases"]
    assert said["verdict"] == case["verdict"] == "slower"
    throughput = case["differences"][0]
    assert throughput["metric"] == "throughput" and throughput["stands"] is True
    assert throughput["interval"][0] < throughput["change"] < throughput["interval"][1]
    sources = {"within A", "within B", "between runs"}
    assert sources <= set(throughput["standard_errors"]) <= sources | {"drift"}


def test_the_same_files_give_the_same_numbers(path, tmp_path):
    b = write_result(tmp_path, 5, [SHORT])
    once, again = (
        compare_results([from_path(str(path)), from_path(str(b))]).to_dict() for _ in range(2)
    )
    assert once == again


def test_a_host_that_is_not_stated_is_not_refused(path):
    assert compare_results([from_path(str(path)), other(path, Host={})]).cases
    assert HOST["CPU"] == from_path(str(path)).result.host["CPU"]
