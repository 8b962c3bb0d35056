"""Environment variables that give libraries a number of threads, against what the plan says."""

from __future__ import annotations

import os

from qs.doctor.finding import OK, WARN, Finding
from qs.doctor.planned import Planned

VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TBB_NUM_THREADS",
    "ORT_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "KMP_BLOCKTIME",
    "KMP_AFFINITY",
    "GOMP_CPU_AFFINITY",
    "OMP_PROC_BIND",
)


def probe(planned: Planned) -> list[Finding]:
    stated = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    value = ", ".join(f"{name}={each}" for name, each in stated.items()) or "none set"
    counts = {
        name: int(each)
        for name, each in stated.items()
        if name.endswith("_NUM_THREADS") and each.isdigit()
    }
    wanted = planned.intra_op_threads
    clashing = [name for name, count in counts.items() if wanted is not None and count != wanted]
    if clashing:
        effect = f"libraries that read {', '.join(clashing)} use another number of threads than the plan's {wanted}"
        return [
            Finding(
                "thread variables", WARN, value, effect, f"unset {' '.join(clashing)}", dict(stated)
            )
        ]
    return [Finding("thread variables", OK, value, figures=dict(stated))]
