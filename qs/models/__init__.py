"""Gets the file of a model or data set: its sources, tried in order, verified and cached."""

from qs.models.resolving import Resolved, check_imports, resolve, resolve_data

__all__ = ["Resolved", "check_imports", "resolve", "resolve_data"]
