from __future__ import annotations

import pytest

from qs.base.errors import Faults, UserError
from qs.config.compile_result import check_compile_result

MODELS = [{"compiled_bs": size, "compiled_obj": f"model-{size}.engine"} for size in (1, 4)]
RESULT = {
    "model": "bert-torch-fp32",
    "framework": "Pytorch",
    "compile_precision": "FP16",
    "optimizations": {"fuse": True},
    "instance_count": 1,
    "device_count": 2,
    "input_type": ["LONG", "LONG", "LONG"],
    "max_batch_size": 64,
    "compile_status": "success",
    "sg_percent": 87.5,
    "segments": [
        {
            "sg_idx": 0,
            "is_fallback": False,
            "input_tensor_map": {"a": [1, 384]},
            "output_tensor_map": ["b"],
            "compiled_model": MODELS,
        },
        {
            "sg_idx": 1,
            "is_fallback": True,
            "input_tensor_map": {},
            "output_tensor_map": "c",
            "compiled_model": MODELS[:1],
        },
    ],
    "sparsity_ratio": 0.5,
}


def test_a_whole_result() -> None:
    result, warnings = check_compile_result(RESULT).result()
    assert warnings == []
    assert result.succeeded
    assert (result.sg_percent, result.instance_count, result.device_count) == (87.5, 1, 2)
    assert result.fallbacks == (1,)
    assert result.compiled_batch_sizes == (1, 4)
    assert result.to_configs() == RESULT


def test_what_a_vendor_hands_over_passes_through_untouched() -> None:
    engine = object()
    raw = {
        "segments": [{"compiled_model": [{"compiled_bs": 1, "compiled_obj": engine, "own": 1}]}],
        "mine": engine,
    }
    result = check_compile_result(raw).value
    assert result.to_configs() == raw
    assert result.to_configs()["segments"][0]["compiled_model"][0]["compiled_obj"] is engine
    assert result.extra_keys == {"mine": engine}


def test_missing_keys_warn() -> None:
    checked = check_compile_result({"compile_status": "success"}, "GPU")
    assert checked.faults == ()
    assert checked.warnings == (
        "GPU: has no compile_precision, sg_percent, segments, instance_count, device_count",
    )
    assert checked.value.succeeded
    assert (checked.value.device_count, checked.value.compiled_batch_sizes) == (None, ())


@pytest.mark.parametrize(
    ("status", "succeeded"),
    [("success", True), ("Success ", True), ("failed", False), ("", False), (None, False)],
)
def test_only_success_is_success(status: str | None, succeeded: bool) -> None:
    assert check_compile_result({"compile_status": status}).value.succeeded is succeeded


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(4, 1, 4)], (1, 4)),
        ([(1, 4), (4, 8)], (4,)),
        ([(1,), ()], (1,)),
        ([], ()),
        ([(None,)], ()),
    ],
)
def test_compiled_batch_sizes_are_those_of_every_segment(sizes: list, expected: tuple) -> None:
    segments = [{"compiled_model": [{"compiled_bs": size} for size in each]} for each in sizes]
    assert check_compile_result({"segments": segments}).value.compiled_batch_sizes == expected


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"sg_percent": 101}, "sg_percent", 101),
        ({"sg_percent": float("nan")}, "sg_percent", None),
        ({"device_count": -1}, "device_count", -1),
        ({"instance_count": "1"}, "instance_count", "1"),
        ({"compile_status": True}, "compile_status", True),
        ({"segments": "none"}, "segments", "none"),
        ({"segments": [{"is_fallback": "no"}]}, "segments[0].is_fallback", "no"),
        (
            {"segments": [{"compiled_model": [{"compiled_bs": 0}]}]},
            "segments[0].compiled_model[0].compiled_bs",
            0,
        ),
    ],
)
def test_values_of_a_wrong_kind_are_faults(change: dict, key: str, value: object) -> None:
    (fault,) = check_compile_result(RESULT | change, "c.json").faults
    assert (fault.file, fault.key) == ("c.json", key)
    assert value is None or fault.value == value


@pytest.mark.parametrize("raw", [None, [], "success"])
def test_what_is_no_result(raw: object) -> None:
    with pytest.raises(UserError, match="allowed: one object"):
        check_compile_result(raw)


def test_types_may_be_one_string() -> None:
    assert check_compile_result({"input_type": "LONG, INT32"}).value.input_type == ("LONG", "INT32")
    with pytest.raises(Faults, match="input_type"):
        check_compile_result({"input_type": 3}).result()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["input a is cast", " two\nlines "], ["input a is cast", "two lines"]),
        (["\x1b[2J"], ["\\x1b[2J"]),
        ([7, None, "", "right"], ["right"]),
        (["x" * 400], ["x" * 297 + "..."]),
        (
            [f"number {number}" for number in range(30)],
            [f"number {number}" for number in range(20)],
        ),
        ("a sentence", []),
        ({"a": "b"}, []),
        (None, []),
    ],
)
def test_what_a_backend_wants_to_be_said(given, said) -> None:
    """Under a key that vendors may have used before, for anything."""
    assert check_compile_result(RESULT | {"warnings": given}).value.warnings == said
    assert check_compile_result(RESULT).value.warnings == []
