"""The result of a run against a language model, made by hand: what the engine would leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from qs.engine import Estimate, Histogram, IntervalRow, Measure, Measured, RunResult, WarmUpResult
from qs.evaluate.measure_logs import write_logs
from qs.evaluate.rows import measured
from qs.evaluate.tokens import TokensBeside
from qs.llm.asked import LlmAsked
from qs.llm.counts import ASKED, BY_USAGE, DIFFERING, EVENTS, SHORTER
from qs.llm.measures import MEASURES, OUTPUT
from qs.result.row import Row
from qs.settings.case import Case
from tests.qs.result.made import small

CASE = Case("rate-50", 1, 1, 1, None, 12.0, None, "async", 1, None, ())
MS, S = 1_000_000, 1_000_000_000
WALL_S = 12


def llm_result(requests: int = 600, seed: int = 1, slower: float = 1.0, **more: Any) -> RunResult:
    """A run of 12 s with so many streamed requests, of 20 to 180 tokens each. `slower`: how many
    times as long everything takes.
    """
    rng = np.random.default_rng(seed)
    due = np.sort(rng.integers(0, WALL_S * S, requests))
    tokens = rng.integers(20, 180, requests)
    asked_in = rng.integers(64, 512, requests)
    ttft = (rng.lognormal(np.log(40), 0.4, requests) * slower * MS).astype(np.int64)
    tpot = (rng.lognormal(np.log(8), 0.2, requests) * slower * MS).astype(np.int64)
    total = ttft + tpot * (tokens - 1)
    gaps = np.repeat(tpot, tokens - 1)
    gaps = (gaps * rng.lognormal(0.0, 0.3, gaps.size)).astype(np.int64)
    values = {
        "ttft": ttft,
        "ttft_sent": ttft - MS // 5,
        "itl": gaps,
        "event_gap": gaps,
        "tpot": tpot,
        "decode": tpot * (tokens - 1),
        "generation": tpot * (tokens - 1),
        "server_prefill": ttft - MS,
        "server_decode": tpot * (tokens - 1) - MS,
        "reasoning_tokens": np.zeros(0, np.int64),
        "cached_tokens": asked_in // 2,
        "counted_tokens": tokens,
        "normalised": total // tokens,
        "prefill_rate": asked_in * 1000 * S // ttft,
        "decode_rate": 1000 * S // tpot,
        "input_tokens": asked_in + 9,
        "output_tokens": tokens,
        "asked_input_tokens": asked_in,
        "asked_output_tokens": np.full(requests, 128),
    }
    ended = due + total
    many = np.repeat(due, tokens - 1)
    measures = {
        each.name: _measured(
            each, values[each.name], many if each.many else due[: values[each.name].size]
        )
        for each in (*MEASURES, *ASKED)
    }
    response = _histogram(total)
    # Counted where it was due, so that the end of the run is like its middle.
    at = due // (S // 10)
    happened = np.bincount(at, weights=tokens, minlength=WALL_S * 10).astype(np.int64)
    chosen = np.linspace(0, requests - 1, min(requests, 200)).astype(int)
    sampled = {
        "due_ns": due[chosen],
        "issued_ns": due[chosen] + MS // 10,
        "completed_ns": ended[chosen],
        "outcome": np.zeros(chosen.size, np.int8),
        "worker": np.zeros(chosen.size, np.int32),
        "sent_ns": due[chosen] + MS // 5,
        "first_ns": due[chosen] + MS,
        **{name: column[chosen] for name, column in values.items() if column.size == requests},
    }
    known: dict[str, Any] = {
        "completed": requests,
        "errors_by_kind": {},
        "wall_s": float(WALL_S),
        "response": response,
        "service": response,
        "lateness": Histogram(),
        "intervals": _intervals(total, due),
        "warmup": WarmUpResult(),
        "planned": None,
        "first_ns": 0,
        "open_loop": True,
        "pool": "async",
        "workers": 1,
        "clients": None,
        "started_at": 1e9,
        "worker_cpu_s": 1.5,
        "measures": measures,
        "outcomes": {"stop": requests // 3, "length": requests - requests // 3},
        "good": requests // 2,
        "good_per_s": Estimate(requests / 2 / WALL_S, 1.5, 24),
        "happened": {OUTPUT: happened},
        "read": {BY_USAGE: requests, DIFFERING: 0, EVENTS: int(tokens.sum()), SHORTER: 200},
        "sampled": sampled,
    }
    return RunResult(**known | more)


def llm_row(
    result: RunResult, folder: Path | None = None, asked: LlmAsked | None = None, case: Case = CASE
) -> Row:
    """The row of such a run; with a folder, its logs lie there."""
    logs, log = {}, None
    if folder is not None:
        place = folder / "latency" / f"fp32-{case.name}.hlog"
        place.parent.mkdir(parents=True, exist_ok=True)
        result.write_hlog(place)
        logs, log = write_logs(result, place), f"latency/{place.name}"
    row = measured(case, result, log)
    return TokensBeside(asked or LlmAsked()).row(row, result, logs)


def llm_report(folder: Path, *rows: Row, **more: Any) -> Path:
    """A saved result of such rows, or of one run."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = [row.to_dict() for row in rows or [llm_row(llm_result(**more), folder)]]
    known = {"Kind": "load", "Task": "chat", "Model": "chat", "Backend": "OPENAI"}
    found = small(plain, **known).to_dict()
    (folder / "result-fp32.json").write_text(json.dumps(found, default=str))
    return folder


def _histogram(values: np.ndarray) -> Histogram:
    made = Histogram()
    made.record(values.astype(np.int64))
    return made


def _measured(measure: Measure, values: np.ndarray, at: np.ndarray) -> Measured:
    found = _histogram(values)
    confidence = {
        each: Estimate(float(found.percentile_ns(each)), found.percentile_ns(each) * 0.03, 24)
        for each in (50.0, 90.0, 95.0, 99.0)
    }
    return Measured(measure, found, _intervals(values, at), confidence)


def _intervals(values: np.ndarray, at: np.ndarray) -> list[IntervalRow]:
    rows, length = [], S // 5
    for number in range(WALL_S * 5):
        inside = values[at // length == number]
        found = _histogram(inside)
        index = np.flatnonzero(found.counts)
        rows.append(
            IntervalRow(
                number / 5,
                0.2,
                inside.size,
                0,
                found.percentile_ns(50.0) if inside.size else None,
                found.percentile_ns(99.0) if inside.size else None,
                min(number, 12),
                index,
                found.counts[index],
            )
        )
    return rows
