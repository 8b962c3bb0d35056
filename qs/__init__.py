"""One load engine that measures every inference backend written to ByteMLPerf's two classes.

Importing this package loads nothing heavy: numpy, onnxruntime, pydantic and the engine come in where they are used.
"""

from __future__ import annotations

__version__ = "0.1.0"
