"""Where a model's file, or a data set's, comes from: the sources that are named for it, tried in
order, cached and verified.
"""

from qs.models.resolving import Resolved, resolve, resolve_data

__all__ = ["Resolved", "resolve", "resolve_data"]
