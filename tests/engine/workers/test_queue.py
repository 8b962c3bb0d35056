"""The shared counters hand out every due time exactly once, to threads and to processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from qs.engine.load import ConstantRate
from qs.engine.load.schedule import bounded
from qs.engine.workers.queue import ProcessQueue, ThreadQueue, new_counter

START = 10**15


def everything(queue) -> list[int]:
    return [due for block in queue for due in block]


def dues(count: int) -> list[int]:
    return [
        START + int(due)
        for block in bounded(ConstantRate(1e9).blocks(), None, count)
        for due in block
    ]


@pytest.mark.parametrize("count", [0, 1, 16_383, 16_384, 16_385, 50_000])
def test_one_worker_gets_the_schedule_in_order(count):
    assert everything(ThreadQueue(bounded(ConstantRate(1e9).blocks(), None, count), START)) == dues(
        count
    )
    counter = new_counter()
    try:
        found = everything(
            ProcessQueue(bounded(ConstantRate(1e9).blocks(), None, count), START, counter)
        )
    finally:
        os.close(counter)
    assert found == dues(count)


def test_empty_blocks_end_nothing():
    blocks = [np.array([1]), np.array([], np.int64), np.array([2, 3])]
    assert everything(ThreadQueue(iter(blocks), 0)) == [1, 2, 3]
    counter = new_counter()
    assert everything(ProcessQueue(iter(blocks), 0, counter)) == [1, 2, 3]
    os.close(counter)


def test_threads_share_each_due_time_once_and_each_in_order():
    count, workers = 120_000, 8
    queue = ThreadQueue(bounded(ConstantRate(1e9).blocks(), None, count), START)
    found: list[list[int]] = [[] for _ in range(workers)]
    begin = threading.Barrier(workers)

    def work(number):
        begin.wait()
        for block in queue:
            for due in block:
                found[number].append(due)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(due for part in found for due in part) == dues(count)
    assert all(part == sorted(part) for part in found)


# What each process runs: says that it is there, waits for the word, claims, and writes its claims.
SCRIPT = """
import os, sys
import numpy as np
from qs.engine.load import ConstantRate
from qs.engine.load.schedule import bounded
from qs.engine.workers.queue import ProcessQueue

what, counter, count, start = sys.argv[1], *map(int, sys.argv[2:])
os.write(1, b"x")
sys.stdin.read()
if what == "claim":
    queue = ProcessQueue(bounded(ConstantRate(1e9).blocks(), None, count), start, counter)
    claims = np.array([due for block in queue for due in block], np.int64)
else:
    claims = np.fromiter((os.lseek(counter, 1, os.SEEK_CUR) for _ in range(count)), np.int64, count)
sys.stdout.buffer.write(claims.tobytes())
"""


def in_processes(workers: int, work: str, count: int) -> list[np.ndarray]:
    """Let processes that share one new counter, and begin together, `claim` due times or `seek` so
    many times each.
    """
    counter = new_counter()
    command = [sys.executable, "-c", SCRIPT, work, str(counter), str(count), str(START)]
    root = Path(__file__).parents[3]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, pass_fds=[counter], cwd=root)
        for _ in range(workers)
    ]
    os.close(counter)
    for process in started:
        assert process.stdout.read(1) == b"x"
    for process in started:
        process.stdin.close()
    parts = []
    for process in started:
        parts.append(np.frombuffer(process.stdout.read(), np.int64))
        process.stdout.close()
        assert process.wait(60) == 0
    return parts


def test_processes_share_each_due_time_once():
    parts = in_processes(3, "claim", 100_000)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.array(dues(100_000)))


def test_the_counter_loses_no_claim_of_processes_that_seek_at_once():
    """On a descriptor straight from memfd_create it lost some in every other run: the kernel does
    not lock its offset.
    """
    claims = np.concatenate(in_processes(3, "seek", 100_000))
    assert np.array_equal(np.sort(claims), np.arange(1, 300_001))
