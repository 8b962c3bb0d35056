"""What the engine costs on real models: ONNX Runtime at batch 1, one client, against a bare loop
over the same session.

Interleaved in one run. The bare loop is that of closed_loop.py: two clock reads and one store a
request, the least that measures a response time at all; the same without any clock is shown beside
it. Models: `digits` (a small CNN of ten microseconds, where a slow engine shows; in one thread,
since two that spin for each other on two cores measure whatever else wants a core) and `bert`
(BERT-base question answering, sequence 384; its file is taken from the user's cache or built, which
takes seconds).

    python bench/overhead.py [--json] [--quick] [--models digits,bert]

--quick measures digits alone unless --models says otherwise.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from compare import Report, Say, command, interleaved, pairwise

from qs.engine import ClosedLoop, Pool, RunPlan, run

ROOT = Path(__file__).resolve().parent.parent
MODELS = {"digits": "digits-cnn-onnx-fp32", "bert": "bert-torch-fp32"}
THREADS = {"digits": 1, "bert": 0}  # 0: as many as the runtime takes
SIDE_S = {"digits": 0.2, "bert": 3.0}
# Many short rounds if requests are short: a ratio wants both sides within one mood of the machine.
MORE_ROUNDS = {"digits": 4, "bert": 1}
BARE, UNTIMED, THREAD, INLINE = (
    "bare loop",
    "loop without a clock",
    "engine, one thread",
    "engine, inline",
)
GOAL = 0.98

Predict = Callable[[dict[str, np.ndarray]], Any]


def load(model: str, say: Say) -> tuple[Predict, dict[str, np.ndarray]]:
    """A session of the model and one item of generated input."""
    import onnxruntime

    from qs.models import resolve

    info = json.loads((ROOT / "model_zoo" / f"{MODELS[model]}.json").read_text())
    resolved = resolve(info, ROOT, say=say)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = THREADS[model]
    session = onnxruntime.InferenceSession(
        str(resolved.path), settings, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    feeds = {}
    for name, shape in info["input_shape"].items():
        low, high = info.get("input_range", {}).get(name, (0, 2))
        long = "LONG" in info["input_type"]
        feeds[name] = (
            random.integers(low, high, shape)
            if long
            else random.uniform(low, high, shape).astype(np.float32)
        )
    return partial(session.run, None), feeds


def bare_queries_per_s(predict: Predict, feeds: dict[str, np.ndarray], requests: int) -> float:
    clock = time.perf_counter_ns
    times = memoryview(np.zeros(requests, np.int64))
    began = time.perf_counter()
    for row in range(requests):
        issued = clock()
        predict(feeds)
        times[row] = clock() - issued
    return requests / (time.perf_counter() - began)


def untimed_queries_per_s(predict: Predict, feeds: dict[str, np.ndarray], requests: int) -> float:
    began = time.perf_counter()
    for _ in range(requests):
        predict(feeds)
    return requests / (time.perf_counter() - began)


def engine_queries_per_s(
    kind: str, predict: Predict, feeds: dict[str, np.ndarray], requests: int
) -> float:
    result = run(RunPlan(load=ClosedLoop(iterations=requests), pool=Pool(kind)), predict, [feeds])
    if result.completed != requests:
        raise RuntimeError(
            f"{result.completed} of {requests} requests completed: {result.first_fault}"
        )
    return result.queries_per_s


def requests_for(predict: Predict, feeds: dict[str, np.ndarray], seconds: float) -> int:
    """About how many requests take that long, after a warm-up."""
    bare_queries_per_s(predict, feeds, 2)
    return max(int(bare_queries_per_s(predict, feeds, 3) * seconds), 3)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", help=f"which of {', '.join(MODELS)} (default: all; with --quick digits)"
    )


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    names = (
        options.models.split(",")
        if options.models
        else ["digits"]
        if options.quick
        else list(MODELS)
    )
    unknown = sorted(set(names) - set(MODELS))
    if unknown:
        raise SystemExit(
            f"--models: {', '.join(unknown)} is not allowed; it takes {', '.join(MODELS)}"
        )
    for model in names:
        predict, feeds = load(model, say)
        side_s = 0.2 if options.quick else SIDE_S[model]
        requests = requests_for(predict, feeds, side_s)
        rounds = options.rounds * (1 if options.quick else MORE_ROUNDS[model])
        sides = {
            BARE: partial(bare_queries_per_s, predict, feeds, requests),
            UNTIMED: partial(untimed_queries_per_s, predict, feeds, requests),
            THREAD: partial(engine_queries_per_s, "thread", predict, feeds, requests),
            INLINE: partial(engine_queries_per_s, "inline", predict, feeds, requests),
        }
        found = interleaved(sides, rounds, lambda text, model=model: say(f"{model}, {text}"))
        for name, values in found.items():
            report.figure(f"{model}: {name}", "queries/s", values)
        report.figure(f"{model}: {BARE} / {UNTIMED}", "x", pairwise(found[BARE], found[UNTIMED]))
        for name in (THREAD, INLINE):
            ratio = pairwise(found[name], found[BARE])
            report.goal(f"{model}: queries/s of {name} / {BARE}", ">=", GOAL, ratio, "x")
        report.note(f"{model}: {requests} requests a side and round")


if __name__ == "__main__":
    command("overhead", __doc__, measure, rounds=11, add_options=add_options)
