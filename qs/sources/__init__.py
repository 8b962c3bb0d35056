"""Where a model's file comes from: the sources that its model info names, tried in order, cached and
verified.
"""

from qs.sources.resolving import Resolved, resolve

__all__ = ["Resolved", "resolve"]
