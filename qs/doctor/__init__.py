"""Is this machine fit to measure on: what it is like, what that does to a measurement, and what to
change.

`look` reads the kernel's files and takes some milliseconds; qs.doctor.self_benchmark measures for
ten seconds. Nothing is changed.
"""

from __future__ import annotations

from qs.doctor.finding import OK, UNKNOWN, WARN, Finding, warned
from qs.doctor.looking import look
from qs.doctor.planned import Planned

__all__ = ["OK", "UNKNOWN", "WARN", "Finding", "Planned", "look", "warned"]
