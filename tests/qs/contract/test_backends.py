"""The defaults that existing backends rely on."""

from __future__ import annotations

import pytest

from qs import CompileBackend, RuntimeBackend


def test_what_a_compile_backend_does_by_default() -> None:
    backend = CompileBackend()
    configs = {"workload": {}}
    assert (backend.hardware_type, backend.need_reload, backend.need_quant) == (
        "UnKnown",
        False,
        False,
    )
    assert backend.pre_optimize(configs) is configs
    assert backend.segment(configs) is None
    assert backend.tuning(configs) is None


def test_what_a_runtime_backend_does_by_default() -> None:
    backend = RuntimeBackend()
    assert (backend.hardware_type, backend.need_reload, backend.need_quant) == (
        "UnKnown",
        False,
        False,
    )
    assert backend.is_qs_mode_supported() is False
    assert backend.generate_qs_config() is None
    assert (backend.configs, backend.workload, backend.model_info) == (None, None, None)


@pytest.mark.parametrize(
    ("base", "method", "arguments"),
    [
        (CompileBackend, "version", ()),
        (CompileBackend, "compile", ({},)),
        (CompileBackend, "get_interact_profile", ({},)),
        (CompileBackend, "get_best_batch_size", ()),
        (RuntimeBackend, "version", ()),
        (RuntimeBackend, "load", (1,)),
        (RuntimeBackend, "get_loaded_batch_size", ()),
        (RuntimeBackend, "predict", ({},)),
        (RuntimeBackend, "benchmark", (None,)),
    ],
)
def test_what_a_backend_has_to_write_says_its_name(
    base: type, method: str, arguments: tuple
) -> None:
    with pytest.raises(NotImplementedError, match=f"{base.__name__}:{method}"):
        getattr(base(), method)(*arguments)


def test_a_backend_whose_init_does_not_call_ours_has_the_attributes_all_the_same() -> None:
    class Rude(RuntimeBackend):
        def __init__(self) -> None:
            pass

    class RudeCompiler(CompileBackend):
        def __init__(self) -> None:
            pass

    assert (Rude().hardware_type, Rude().need_reload, Rude().configs) == ("UnKnown", False, None)
    assert RudeCompiler().need_quant is False
