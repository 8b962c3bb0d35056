"""A plain closed loop, for runs without our engine: clients in threads, each submits and waits.

Simple but honest: one latency per request, including the time in the queue for a core; items over
the wall time of all clients; the first request of each client is a warm-up and not counted.
"""

from __future__ import annotations

import threading
from time import perf_counter_ns
from typing import Any

import numpy as np

from qs.contract.tools import first_batch

LEAST_SAMPLES = 100  # with fewer, the 99th percentile is the maximum
LONGEST_S = 10.0
MOST_BATCHES = 16


def closed_loop(backend: Any, dataloader: Any) -> dict[str, Any]:
    """Clients x iterations of the workload (at least enough for a p99), for at most ten seconds.

    P99 Latency is None if fewer than 100 requests were completed.
    """
    batch_size = backend.get_loaded_batch_size()
    workload = backend.workload or {}
    clients = max(1, int(workload.get("clients") or 1))
    iterations = max(int(workload.get("iterations") or 1), -(-LEAST_SAMPLES // clients))
    batches = _batches(backend, dataloader, batch_size)
    latencies: list[list[int]] = [[] for _ in range(clients)]
    errors: list[BaseException] = []
    begins: list[int] = []
    ends: list[int] = []
    ready = threading.Barrier(clients)

    def client(number: int) -> None:
        mine = latencies[number]
        try:
            backend.predict(batches[number % len(batches)])
        except BaseException as error:
            errors.append(error)
        ready.wait()
        begin = perf_counter_ns()
        begins.append(begin)
        try:
            for index in range(iterations):
                issued = perf_counter_ns()
                if errors or issued - begin > LONGEST_S * 1e9:
                    break
                backend.predict(batches[(number + index) % len(batches)])
                mine.append(perf_counter_ns() - issued)
        except BaseException as error:
            errors.append(error)
        ends.append(perf_counter_ns())

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    if not any(latencies):
        raise RuntimeError(f"no request was completed within {LONGEST_S:.0f} s")
    wall_s = (max(ends) - min(begins)) / 1e9
    taken = np.sort(np.concatenate([np.array(mine, dtype=np.int64) for mine in latencies]))
    # nearest rank: the smallest value that 99 % of the requests do not exceed
    p99 = taken[-(-len(taken) * 99 // 100) - 1] / 1e6 if len(taken) >= LEAST_SAMPLES else None
    return {
        "BS": batch_size,
        "QPS": batch_size * len(taken) / wall_s,
        "AVG Latency": float(taken.mean()) / 1e6,
        "P99 Latency": None if p99 is None else float(p99),
        "Clients": clients,
        "Completed": len(taken),
    }


def _batches(backend: Any, dataloader: Any, batch_size: int) -> list[dict[str, np.ndarray]]:
    """The data set's first batches; one that is filled up if it has no full batch."""
    if dataloader is not None:
        dataloader.rebatch(batch_size)
        count = min(dataloader.get_batch_count(), MOST_BATCHES)
        samples = [dataloader.get_samples(index) for index in range(count)]
        if samples:
            return [
                sample[0] if isinstance(sample, (tuple, list)) else sample for sample in samples
            ]
    return [first_batch(dataloader, backend.model_info, batch_size)]
