"""What does a request to a real Triton cost our client, and what perf_analyzer (C++)?

Over HTTP and gRPC, with 4 in flight and binary tensors.

The server is yours, with the models of `triton_models/`, which compute nothing:

    tritonserver --model-repository bench/triton_models
    python bench/triton.py [--json] [--quick] [--http 127.0.0.1:8000] [--grpc 127.0.0.1:8001]

CPU is that of the client's process. perf_analyzer's start costs more than many requests, so it runs
with two numbers of requests, and the difference is what they cost. `--perf_analyzer` is its
command, if it is not `perf_analyzer`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
from compare import Report, Say, command, interleaved, pairwise

from qs.base.errors import UserError
from qs.engine.hosts.loops import new_loop
from qs.remote.asked import Asked
from qs.remote.serving import Serving

IN_FLIGHT = 4
SHAPES = {"echo": (1, 4), "image": (1, 3, 224, 224)}
CASES = (("http", "echo", 0.5), ("grpc", "echo", 0.5), ("http", "image", 0.25))
REQUESTS = {"echo": (2_000, 12_000), "image": (300, 1_800)}
# It once did not end by itself.
MOST_S = 120


@dataclass(frozen=True)
class Turn:
    """CPU time of the client for one request, and the median that it saw."""

    cpu_us: float
    p50_us: float


def ours(protocol: str, place: str, model: str, requests: int) -> Turn:
    serving = Serving(Asked.of({"url": f"kserve+{protocol}://{place}/{model}"}))
    try:
        serving.describe()
        feeds = {"x": np.zeros(SHAPES[model], np.float32)}
        request, client = serving.protocol.request(feeds), serving.client()
        loop = new_loop()
        try:
            return loop.run_until_complete(_asked(client, request, requests))
        finally:
            loop.close()
    finally:
        serving.close()


async def _asked(client, request, requests: int) -> Turn:
    await client.open(IN_FLIGHT)
    ended = asyncio.get_running_loop().create_future()
    took: list[int] = []
    left = requests - IN_FLIGHT
    began = time.process_time()

    def done(call) -> None:
        nonlocal left
        if call.failure is not None:
            ended.set_exception(RuntimeError(f"{call.failure}: {call.detail}"))
            return
        took.append(call.last_ns - call.sent_ns)
        if left > 0:
            left -= 1
            client.start(request, done)
        elif len(took) == requests:
            ended.set_result(None)

    for _ in range(IN_FLIGHT):
        client.start(request, done)
    try:
        await ended
        cpu_us = (time.process_time() - began) / requests * 1e6
        return Turn(cpu_us, float(np.median(took)) / 1e3)
    finally:
        await client.close()


def perf_analyzer(words: list[str], protocol: str, place: str, model: str, counts) -> Turn:
    """The slope between two numbers of requests."""
    few, many = counts
    first, _ = _analyzed(words, protocol, place, model, few)
    last, p50_us = _analyzed(words, protocol, place, model, many)
    return Turn((last - first) / (many - few) * 1e6, p50_us)


def _analyzed(words: list[str], protocol: str, place: str, model: str, count: int):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*words, "-m", model, "-i", protocol, "-u", place]
        + ["--concurrency-range", str(IN_FLIGHT), "--request-count", str(count)]
        + ["--percentile", "50", "--async"],
        capture_output=True,
        text=True,
        timeout=MOST_S,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"p50 latency: (\d+) usec", done.stdout)
    if done.returncode or found is None:
        raise RuntimeError(f"perf_analyzer: {done.stdout[-1_500:]}{done.stderr[-1_500:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu_s, float(found[1])


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    absent = _absent(options)
    if absent is not None:
        report.note(absent)
        for protocol, model, most in CASES:
            what = f"{protocol}, {model}: CPU a request, ours / perf_analyzer"
            report.goal(what, "<=", most, None, "x")
        return
    words = shlex.split(options.perf_analyzer)
    there = shutil.which(words[0]) is not None
    if not there:
        report.note(f"{words[0]} is not here (pip install perf-analyzer)")
    for protocol, model, most in CASES:
        place = options.http if protocol == "http" else options.grpc
        counts = tuple(count // 10 if options.quick else count for count in REQUESTS[model])
        sides = {"ours": partial(ours, protocol, place, model, counts[1] - counts[0])}
        if there:
            sides["perf_analyzer"] = partial(perf_analyzer, words, protocol, place, model, counts)
        named = f"{protocol}, {model}"
        found = interleaved(sides, options.rounds, lambda text: say(f"{named}: {text}"))  # noqa: B023
        for name, turns in found.items():
            report.figure(f"{named}: {name}", "us of CPU", [turn.cpu_us for turn in turns])
            report.figure(f"{named}: {name}", "us p50", [turn.p50_us for turn in turns])
        ratio = None
        if there:
            ratio = pairwise(*([turn.cpu_us for turn in turns] for turns in found.values()))
        report.goal(f"{named}: CPU a request, ours / perf_analyzer", "<=", most, ratio, "x")


def _absent(options: argparse.Namespace) -> str | None:
    """Why there is no server to measure."""
    serving = Serving(Asked.of({"url": f"kserve+http://{options.http}/echo", "ready_timeout_s": 2}))
    try:
        serving.describe()
    except UserError as error:
        return f"no Triton with the models of triton_models/: {error}"
    finally:
        serving.close()
    return None


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--http", default="127.0.0.1:8000", help="HOST:PORT of Triton's HTTP")
    parser.add_argument("--grpc", default="127.0.0.1:8001", help="HOST:PORT of Triton's gRPC")
    parser.add_argument("--perf_analyzer", default="perf_analyzer", help="its command")


if __name__ == "__main__":
    command("triton", __doc__, measure, rounds=3, add_options=add_options)
