"""How long a backend may take for each kind of call before its process is ended. Each is an option
of `qs run`.
"""

from __future__ import annotations

from dataclasses import dataclass

from qs.settings.request import Request


@dataclass(frozen=True)
class Limits:
    """In seconds. `predict_s` is for one call of predict; `load_s` for one copy of the model."""

    compile_s: float = 3600.0
    load_s: float = 1200.0
    predict_s: float = 120.0
    benchmark_s: float = 3600.0

    @classmethod
    def of_request(cls, request: Request, predict_s: float | None = None) -> Limits:
        """The command line's, or the defaults. `predict_s`: the settled one, which a QS config may
        state.
        """
        given = {
            "compile_s": request.compile_timeout,
            "load_s": request.load_timeout,
            "predict_s": predict_s or request.predict_timeout,
            "benchmark_s": request.benchmark_timeout,
        }
        return cls(**{name: value for name, value in given.items() if value is not None})
