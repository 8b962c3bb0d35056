"""A model file without a task: what its inputs are, what they may be fed, and the model info that
stands for it.

Pure planning: sessions are opened, and tried, by qs.inside.artifact.
"""

from __future__ import annotations

from qs.artifact.model_info import model_info_of

__all__ = ["model_info_of"]
