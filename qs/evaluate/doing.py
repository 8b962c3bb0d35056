"""What a call of the backend does, in words for the person who waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

# (what is done, about how long, ended after), see qs.watch.view.View.step
Doing = Callable[[str, float | None, float | None], AbstractContextManager[None]]

WORDS = {
    "versions": "asking for the backend's versions",
    "interact_profile": "asking for the backend's questions",
    "pre_optimize": "optimizing the model before compiling",
    "set_dataset": "reading the data set",
    "best_batch_sizes": "looking for the batch sizes that suit this machine",
    "compile": "compiling",
    "configure_runtime": "setting up the runtime",
    "qs_mode": "asking for the backend's QS config",
    "use_runner": "setting up the runner",
    "load": "loading the model at batch size {batch_size}",
    "accuracy": "measuring accuracy",
    "numeric": "comparing with the reference",
    "numeric_item": "comparing item {item} with the reference",
    "benchmark": "the backend times itself at batch size {batch_size}",
    "describe_samples": "making samples of batch size {batch_size}",
    "idle_answers": "keeping the idle backend's answers",
    "verification": "checking the answers given under load",
}
STARTING = "starting the backend"


def words_of(method: str, arguments: Mapping[str, Any]) -> str:
    """A call's words; its name for a method that has none."""
    return WORDS.get(method, method.replace("_", " ")).format_map(arguments)


def silently(text: str, about_s: float | None, limit_s: float | None) -> Any:
    """Says nothing."""
    return nullcontext()
