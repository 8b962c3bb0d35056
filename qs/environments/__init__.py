"""One environment per backend: what a vendor's requirements.txt asks for, kept away from the
conductor's own packages.

`interpreter_for` answers which interpreter a backend runs under; it makes an environment in the
cache where one is needed. Left out: interpreters of another Python version than the conductor's,
and conda.
"""

from __future__ import annotations

from qs.environments.choosing import REQUIREMENTS, Environment, interpreter_for
from qs.environments.store import Stored, remove, stored

__all__ = ["REQUIREMENTS", "Environment", "Stored", "interpreter_for", "remove", "stored"]
