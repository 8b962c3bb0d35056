"""The times that a llama.cpp server states of itself, in the last event or the whole body."""

from __future__ import annotations

from typing import Any

from qs.llm.answer import Answer


def read_timings(timings: Any, answer: Answer) -> None:
    """Numbers by name, as they stand: prompt_ms, predicted_ms, prompt_n, predicted_n, cache_n."""
    if isinstance(timings, dict):
        answer.timings = {
            name: float(value)
            for name, value in timings.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }
