"""How long a backend may take for each thing that it is asked, before its process is ended. All of
them are flags of `qs run`.
"""

from __future__ import annotations

from dataclasses import dataclass

from qs.settings.request import Request

OTHER_S = 1200.0  # what is not the backend's: reading a data set, making samples of it
MODEL_S = 7200.0  # a model may have to be fetched
ACCURACY_S = 24 * 3600.0  # as many predicts as there are items; each of them has its own limit

# method of a host -> the flag whose limit it has
FLAGS = {
    "versions": "compile_timeout",
    "interact_profile": "compile_timeout",
    "compile": "compile_timeout",
    "pre_optimize": "compile_timeout",
    "best_batch_sizes": "compile_timeout",
    "configure_runtime": "load_timeout",
    "qs_mode": "load_timeout",
    "load": "load_timeout",
    "benchmark": "benchmark_timeout",
    "warm_up": "predict_timeout",
}


@dataclass(frozen=True)
class Limits:
    """In seconds. `predict_s` is for one call of predict; `load_s` for one copy of the model."""

    compile_s: float = 3600.0
    load_s: float = 1200.0
    predict_s: float = 120.0
    benchmark_s: float = 3600.0

    def of(self, method: str) -> float:
        """The limit of one call of a host's method."""
        named = {
            "compile_timeout": self.compile_s,
            "load_timeout": self.load_s,
            "predict_timeout": self.predict_s,
            "benchmark_timeout": self.benchmark_s,
        }
        if method in FLAGS:
            return named[FLAGS[method]]
        return {
            "resolve_model": MODEL_S,
            "accuracy": ACCURACY_S,
            "numeric": ACCURACY_S,
            "verification": ACCURACY_S,
        }.get(method, OTHER_S)

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
