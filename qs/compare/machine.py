"""The spread between runs of this machine, as its self-benchmark found it, where the results were
measured on a machine like it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qs.compare.spread import NOTHING, Known


def known_spread(results: Sequence[Mapping[str, Any]]) -> Known:
    """What `qs doctor` measured here; the assumption where it did not, or where a result comes from
    another processor.
    """
    share = _measured_here() if all(map(_from_here, results)) else None
    return (
        NOTHING
        if share is None
        else Known(share, f"{share:.2%}, as qs doctor measured on this machine")
    )


def _measured_here() -> float | None:
    """The share that the self-benchmark found. None: there is none of this machine."""
    from qs.doctor import saved

    found = saved.last()
    return None if found is None else found.spread


def _from_here(result: Mapping[str, Any]) -> bool:
    import os

    from qs.base.machine import cpu_name

    host = result.get("Host") or {}
    return (host.get("CPU"), host.get("Logical CPUs")) == (cpu_name(), os.cpu_count())
