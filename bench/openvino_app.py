"""How fast is the OPENVINO backend under our engine, against OpenVINO's own benchmark_app at equal
settings?

Both sides run in one process, in turn: the loop of benchmark_app (its class Benchmark, which its
command calls, with its request queue and its clock), and the backend as `qs run` drives it. Models:
`digits` (a small CNN, where Python shows) at batch 1, and `bert` (BERT-base, sequence 384; taken
from the user's cache or built) at batches 1 and 4; hints latency and throughput. Equal on both
sides, and printed: the compiled model's properties, requests in flight, shapes, feeds, f32.

    python bench/openvino_app.py [--json] [--quick] [--models digits,bert] [--hints latency]

Two traps of benchmark_app are avoided. It computes in bf16 where the processor can, unless
-infer_precision f32 is given: here both sides are compiled to f32. And its FPS counts a batch as
one unless it knows the batch size: here requests are counted.

Ratios are formed round by round. The CPU time of a request says what a busy machine hides. The
medians of the latency are compared by one clock, OpenVINO's own around each inference, which is the
one that benchmark_app reports; ours are read in a turn of their own. The engine's clock has the
call of `predict` around that: feeds bound, outputs copied.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from compare import Report, Say, command, interleaved, pairwise

from qs.engine import ClosedLoop, Pool, RunPlan, run

ROOT = Path(__file__).resolve().parent.parent
MODELS = {"digits": "digits-cnn-onnx-fp32", "bert": "bert-torch-fp32"}
BATCHES = {"digits": (1,), "bert": (1, 4)}
SIDE_S = {"digits": 0.5, "bert": 3.0}
# Of all streams together; 0: OpenVINO chooses. Two threads that spin for each other during 40 us
# measure whatever else wants a core.
THREADS = {("digits", "latency"): 1}
MORE_ROUNDS = {"digits": 4, "bert": 1}
HINTS = ("latency", "throughput")
APP, OURS, CLOCKED = "benchmark_app", "engine", "engine, OpenVINO's clock read"
GOAL, GOAL_P50 = 0.98, 1.02
SAID = (
    "PERFORMANCE_HINT",
    "NUM_STREAMS",
    "INFERENCE_NUM_THREADS",
    "INFERENCE_PRECISION_HINT",
    "ENABLE_CPU_PINNING",
)


@dataclass(frozen=True)
class Turn:
    """One side in one round."""

    requests_per_s: float
    cpu_s: float
    """Of the process, for one request."""
    p50_s: float
    """By OpenVINO's clock; NaN where it was not read."""


@dataclass(frozen=True)
class Setup:
    """A model at one batch size with one hint, on both sides."""

    compiled: Any  # for benchmark_app
    copies: list[Any]  # ours: loaded runtimes, shared among the clients
    feeds: dict[str, np.ndarray]
    batch: int
    in_flight: int
    hint: str


def prepared(model: str, batch: int, hint: str, say: Say) -> Setup:
    """The backend compiled and loaded, and its compiled model's twin for benchmark_app."""
    from qs.inside.loading import load_backend_class
    from qs.models import resolve

    info = json.loads((ROOT / "model_zoo" / f"{MODELS[model]}.json").read_text())
    path = resolve(info, ROOT, say=say).path
    info |= {"model_path": str(path), "model_format": "onnx"}
    folder = ROOT / "backends" / "OPENVINO"
    workload = {"batch_sizes": [batch], "clients": 1}
    threads = THREADS.get((model, hint), 0)
    answers = {"performance_hint": hint, "batch": "static", "inference_num_threads": threads}
    result = load_backend_class(folder, "OPENVINO", "compile")().compile(
        {"workload": workload, "model_info": info, "interact_info": answers}
    )
    runtime_class = load_backend_class(folder, "OPENVINO", "runtime")
    copies = loaded(runtime_class, result, workload, info, batch)
    random = np.random.default_rng(0)
    feeds = {}
    for name, shape in info["input_shape"].items():
        low, high = info.get("input_range", {}).get(name, (0, 2))
        size = [shape[0] * batch, *shape[1:]]
        whole = "LONG" in info["input_type"]
        feeds[name] = (
            random.integers(low, high, size)
            if whole
            else random.uniform(low, high, size).astype(np.float32)
        )
    return Setup(
        twin(path, hint, threads, [array.shape for array in feeds.values()]),
        copies,
        feeds,
        batch,
        int(result["optimal_requests"]),
        hint,
    )


def loaded(runtime_class: type, *given: Any) -> list[Any]:
    """As many copies as the backend's QS config says, as the framework loads them."""
    copies: list[Any] = []
    wanted = 1
    while len(copies) < wanted:
        runtime = runtime_class()
        runtime.configs, runtime.workload, runtime.model_info, batch = given
        if not copies:
            config = runtime.generate_qs_config()
            wanted = config["instances"]
        runtime.placement = {
            "instance": len(copies),
            "instances": wanted,
            "cpus": None,
            "intra_op_threads": config.get("intra_op_threads"),
        }
        runtime.load(batch)
        copies.append(runtime)
    return copies


def twin(path: Path, hint: str, threads: int, shapes: list[tuple[int, ...]]) -> Any:
    """The model as `benchmark_app -hint ... -infer_precision f32 -shape ...` compiles it."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(dict(enumerate(map(list, shapes))))
    how: dict[str, Any] = {"PERFORMANCE_HINT": hint.upper(), "INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        how["INFERENCE_NUM_THREADS"] = threads
    return core.compile_model(model, "CPU", how)


def app(setup: Setup, requests: int) -> Turn:
    """benchmark_app's loop: one request after the other for the hint latency, else its queue."""
    from openvino.tools.benchmark.benchmark import Benchmark

    kind = "sync" if setup.hint == "latency" else "async"
    bench = Benchmark("CPU", setup.in_flight, requests, None, kind, inference_only=True)
    made = bench.create_infer_requests(setup.compiled)
    for request in made:
        for position, array in enumerate(setup.feeds.values()):
            request.get_input_tensor(position).data[:] = array
    bench.first_infer(made)
    loop = bench.sync_inference if kind == "sync" else bench.async_inference_only
    cpu = cpu_s()
    times, took_s, count = loop(made[0] if kind == "sync" else made, _Fixed(setup.batch))
    return Turn(count / took_s, (cpu_s() - cpu) / count, statistics.median(times) / 1e3)


class _Fixed:
    """As much of benchmark_app's queue of inputs as its loops ask for: inputs are set before."""

    def __init__(self, batch: int) -> None:
        self._batch = batch

    def get_next_batch_size(self) -> int:
        return self._batch


def ours(setup: Setup, requests: int, clocked: bool = False) -> Turn:
    """The engine's closed loop, a thread for each request in flight. `clocked`: OpenVINO's clock is
    read after each.
    """
    times: list[float] = []
    own, turn = threading.local(), itertools.cycle(setup.copies)

    def predict(feeds: dict[str, np.ndarray]) -> Any:
        try:
            return own.predict(feeds)
        except AttributeError:
            own.runtime = next(turn)
            own.predict = own.runtime.predict
            return own.predict(feeds)

    def with_clock(feeds: dict[str, np.ndarray]) -> Any:
        answer = predict(feeds)
        times.append(own.runtime.requests.took_ms())
        return answer

    each = max(1, requests // setup.in_flight)
    began = cpu_s()
    run(_plan(setup, 1), lambda feeds: None, [setup.feeds])
    begun = cpu_s()  # what a run costs whatever it measures, some 25 ms, is none of a request's
    result = run(_plan(setup, each), with_clock if clocked else predict, [setup.feeds])
    spent = cpu_s() - begun - (begun - began)
    if result.completed != each * setup.in_flight:
        raise RuntimeError(f"{result.completed} requests completed: {result.first_fault}")
    p50_s = statistics.median(times) / 1e3 if times else float("nan")
    return Turn(result.queries_per_s, spent / result.completed, p50_s)


def _plan(setup: Setup, each: int) -> RunPlan:
    return RunPlan(load=ClosedLoop(setup.in_flight, each), pool=Pool("thread"))


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def requests_for(setup: Setup, seconds: float) -> int:
    """About how many take that long, after a warm-up of both sides."""
    app(setup, setup.in_flight)
    ours(setup, setup.in_flight)
    began = time.perf_counter()
    setup.copies[0].predict(setup.feeds)
    once = max(time.perf_counter() - began, 1e-5)
    few = max(int(0.05 / once), 1)
    return max(int(ours(setup, few).requests_per_s * seconds), 2 * setup.in_flight)


def chosen(given: str | None, flag: str, allowed: Any) -> list[str]:
    names = given.split(",") if given else list(allowed)
    unknown = sorted(set(names) - set(allowed))
    if unknown:
        raise SystemExit(
            f"{flag}: {', '.join(unknown)} is not allowed; it takes {', '.join(allowed)}"
        )
    return names


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", help=f"which of {', '.join(MODELS)} (default: all; with --quick digits)"
    )
    parser.add_argument("--hints", help=f"which of {', '.join(HINTS)} (default: both)")


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    models = chosen(options.models or ("digits" if options.quick else None), "--models", MODELS)
    hints = chosen(options.hints, "--hints", HINTS)
    for model in models:
        for batch in BATCHES[model]:
            for hint in hints:
                _compare(model, batch, hint, options, report, say)


def _compare(
    model: str, batch: int, hint: str, options: argparse.Namespace, report: Report, say: Say
) -> None:
    what = f"{model}, batch {batch}, {hint}"
    say(f"{what}: compiling")
    setup = prepared(model, batch, hint, say)
    requests = requests_for(setup, 0.1 if options.quick else SIDE_S[model])
    rounds = options.rounds * (1 if options.quick else MORE_ROUNDS[model])
    sides = {
        APP: partial(app, setup, requests),
        OURS: partial(ours, setup, requests),
        CLOCKED: partial(ours, setup, max(requests // 3, setup.in_flight), clocked=True),
    }
    found = interleaved(sides, rounds, lambda text: say(f"{what}, {text}"))
    of = {
        name: {side: [getattr(turn, name) for turn in turns] for side, turns in found.items()}
        for name in ("requests_per_s", "cpu_s", "p50_s")
    }
    for side in (APP, OURS):
        report.figure(f"{what}: {side}", "requests/s", of["requests_per_s"][side])
        report.figure(f"{what}: {side}, CPU", "ms", [1e3 * each for each in of["cpu_s"][side]])
    for side in (APP, CLOCKED):
        report.figure(f"{what}: {side}, p50", "ms", [1e3 * each for each in of["p50_s"][side]])
    for name, label, relation, limit, side in (
        ("requests_per_s", "requests/s", ">=", GOAL, OURS),
        ("cpu_s", "CPU of a request", "<=", 1 / GOAL, OURS),
        ("p50_s", "p50", "<=", GOAL_P50, CLOCKED),
    ):
        ratio = pairwise(of[name][side], of[name][APP])
        report.goal(f"{what}: {label}, {OURS} / {APP}", relation, round(limit, 2), ratio, "x")
    report.note(f"{what}: {requests} requests a side and round, {setup.in_flight} in flight")
    report.note(f"{what}: {APP}: {_said(setup.compiled)}")
    own = len(setup.copies)
    copies = "" if own == 1 else f" {own} copies, each:"
    report.note(f"{what}: {OURS}:{copies} {_said(setup.copies[0].requests.compiled)}")


def _said(compiled: Any) -> str:
    return ", ".join(f"{name} {_plain(compiled.get_property(name))}" for name in SAID)


def _plain(value: Any) -> str:
    return value.get_type_name() if hasattr(value, "get_type_name") else str(value)


if __name__ == "__main__":
    command("openvino_app", __doc__, measure, rounds=5, add_options=add_options)
