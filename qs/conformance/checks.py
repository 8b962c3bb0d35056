"""All checks, in the order they are made. A module is a check: NAME, ABOUT, NEEDS (names of earlier
checks), HOST, and `check`.
"""

from __future__ import annotations

from types import ModuleType

from qs.conformance import (
    agreement,
    arrays,
    benchmarking,
    compiling,
    contract,
    determinism,
    driving,
    independence,
    leaks,
    loading,
    naming,
    outputs,
    predicting,
    prints,
    profile,
    threads,
)

CHECKS: tuple[ModuleType, ...] = (
    naming,
    contract,
    profile,
    compiling,
    driving,
    loading,
    predicting,
    outputs,
    determinism,
    arrays,
    independence,
    agreement,
    threads,
    benchmarking,
    leaks,
    prints,
)
