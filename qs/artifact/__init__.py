"""A model file without a task: its inputs, what to feed them, and a model info for it.

Pure planning: qs.inside.artifact opens sessions and tries them.
"""

from __future__ import annotations

from qs.artifact.model_info import model_info_of

__all__ = ["model_info_of"]
