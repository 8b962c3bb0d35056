"""Gets the file of a model or data set: its sources, tried in order, verified and cached."""

from qs.models.resolving import Resolved, resolve, resolve_data

__all__ = ["Resolved", "resolve", "resolve_data"]
