"""What a load test would do, with the origin of every value and about how long it takes; nothing is
loaded or run.

The backend is not asked for its QS config, since that takes its process; a note says what it may
still change.
"""

from __future__ import annotations

from typing import Any

from qs.evaluate.prepare import Prepared
from qs.evaluate.settling import settled
from qs.settings.case import cases_of
from qs.tensors.generated import input_specs

NOT_ASKED = (
    "the backend was not asked: its QS config may change what neither the command line nor the "
    "artifact states"
)


def outline(prepared: Prepared) -> dict[str, Any]:
    """Plain data: {"artifact", "inputs", "values", "cases", "seconds", "notes"}. UserError if
    they cannot be run.
    """
    settings = settled(prepared, None, None)
    cases = cases_of(settings)
    specs = input_specs(prepared.model_info.to_configs())
    found: list[dict[str, Any]] = []
    for case in cases:
        measured_s = case.duration_s or case.time_limit_s
        found.append(
            {
                "name": case.name,
                "batch_size": case.batch_size,
                "scenario": case.scenario_name or "closed loop",
                "clients": case.clients,
                "iterations": case.iterations,
                "seconds": measured_s,
                "warm_up_seconds": settings.warmup.value.seconds or 0.0,
                "shapes": {spec.name: list(spec.batch_shape(case.batch_size)) for spec in specs},
            }
        )
    open_end = any(each["seconds"] is None for each in found)
    total = None if open_end else sum(each["seconds"] + each["warm_up_seconds"] for each in found)
    return {
        "artifact": str(prepared.request.artifact),
        "hardware": prepared.hardware,
        "report": str(prepared.out),
        "inputs": (prepared.described or {}).get("inputs", []),
        "states": (prepared.described or {}).get("states", {}),
        "values": settings.report(),
        "cases": found,
        "seconds": total,
        "notes": [*prepared.warnings, NOT_ASKED],
    }
