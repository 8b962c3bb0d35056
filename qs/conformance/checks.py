"""All checks, in the order they are made. A module is a check: NAME, ABOUT, NEEDS (names of earlier
checks), HOST, and `check`.
"""

from __future__ import annotations

from types import ModuleType

from qs.conformance import (
    agreement,
    answers,
    arrays,
    benchmarking,
    compiling,
    contract,
    determinism,
    loading,
    measuring,
    names,
    outputs,
    predicting,
    prints,
    profile,
    resources,
    threads,
)

CHECKS: tuple[ModuleType, ...] = (
    names,
    contract,
    profile,
    compiling,
    measuring,
    loading,
    predicting,
    outputs,
    determinism,
    arrays,
    answers,
    agreement,
    threads,
    benchmarking,
    resources,
    prints,
)
