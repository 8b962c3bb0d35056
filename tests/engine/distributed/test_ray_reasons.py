"""Ray's messages, as Ray 2.60 words them, and what a user is told in their place."""

from __future__ import annotations

import pytest

from qs.engine.distributed.ray.reasons import connecting_words, failed_words, lost_words

KILLED = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: NodeActor\n\t"
    "actor_id: 1\n\tpid: 9\n\tnamespace: n\n\tip: 127.0.0.1\nThe actor is dead because its worker "
    "process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly "
    "exits with a connection error code 2. End of file. There are some potential root causes."
)
NODE = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: NodeActor\n"
    "The actor died because its node has died. Node Id: 6c90\n\tthe actor's node was terminated "
    "unexpectedly: health check failed due to missing too many heartbeats"
)
MEMORY = (
    "Task was killed due to the node running low on memory.\nMemory on the node (IP: 10.0.0.5, "
    "ID: f8) where the task was running was 60.92GB / 64.00GB (0.951913), which exceeds the memory "
    "usage threshold of 0.95. Ray killed this worker (ID: 3b) because it was the most recently "
    "scheduled task"
)
MEMORY_NOW = (
    "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: "
    "127.0.0.1, ID: 723acc22) was 1.03GB used / 23.54GB limit (0.043630) OOM kill reason: Memory "
    "usage 1102782464B exceeded threshold of 252760592B (1.0% of 25276059648B"
)
MISMATCH = (
    "Failed to connect to Ray cluster at 10.0.0.5:6379; Version mismatch: The cluster was started "
    "with:\n    Ray: {}\n    Python: {}\nThis process on node was started with:\n    Ray: 2.60.0\n"
    "    Python: 3.11.7\n"
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (KILLED, ["process was killed", "connection error code 2"]),
        (f"\x1b[36m{KILLED}\x1b[0m", ["process was killed"]),
        (NODE, ["its raylet died"]),
        (MEMORY, ["memory monitor", "60.92GB / 64.00GB"]),
        (MEMORY_NOW, ["memory monitor", "1.03GB used / 23.54GB"]),
        ("something new", ["something new"]),
    ],
)
def test_why_an_actor_was_lost(message, expected):
    assert all(each in lost_words(message) for each in expected), lost_words(message)
    assert "\n" not in lost_words(message) and "\x1b" not in lost_words(message)


def test_versions_that_differ_are_named_and_only_those():
    words = connecting_words(MISMATCH.format("2.59.0", "3.11.7"), "10.0.0.5:6379")
    assert "has Ray 2.59.0" in words and "runs with Ray 2.60.0" in words and "Python" not in words
    both = connecting_words(MISMATCH.format("2.59.0", "3.12.1"), "10.0.0.5:6379")
    assert "Ray 2.59.0 and Python 3.12.1" in both and "Ray 2.60.0 and Python 3.11.7" in both


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Failed to connect; No node info found matching attributes: ''",
            ["not part of the cluster at 10.0.0.5:6379", "ray start --address=10.0.0.5:6379"],
        ),
        (
            "Token authentication is enabled but the authentication token is invalid or incorrect.",
            ["asks for a token", "RAY_AUTH_TOKEN"],
        ),
        ("something new", ["cannot be joined", "something new"]),
    ],
)
def test_why_a_cluster_cannot_be_joined(message, expected):
    words = connecting_words(message, "10.0.0.5:6379")
    assert all(each in words for each in expected), words


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("ModuleNotFoundError: No module named 'numpy'", ["lacks numpy", "pip install"]),
        ("Failed to set up runtime environment. Could not create it", ["bring our files there"]),
        (NODE, ["its raylet has died"]),
        (MEMORY_NOW, ["memory monitor", "1.03GB used / 23.54GB"]),
        ("x" * 10_000, ["xxx ... xxx"]),
    ],
)
def test_why_a_place_cannot_be_set_up(message, expected):
    words = failed_words(message)
    assert all(each in words for each in expected), words
    assert len(words) < 1_000
