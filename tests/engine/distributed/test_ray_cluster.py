"""Which cluster there is, and the folder of one of our own. None is started here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from qs.engine.distributed.ray import cluster as ray_cluster
from qs.engine.distributed.ray.cluster import (
    cluster_at_hand,
    fault_of,
    is_loopback,
    new_folder,
    remove_stale,
    settings_of,
)
from qs.engine.distributed.ray.holder import shares_of_cpus


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


def test_an_address_is_tried(listening, closed_port):
    assert fault_of(listening) is None
    assert "refused" in str(fault_of(closed_port))


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:0", "host:70000", "host:x"])
def test_what_is_no_address_is_said_so(address):
    assert fault_of(address) == "it is not of the form HOST:PORT"


def test_the_cluster_at_hand_is_the_one_that_ray_noted_if_it_answers(
    tmp_path, monkeypatch, listening, closed_port
):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert cluster_at_hand() is None
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text(listening + "\n")
    assert cluster_at_hand() == listening
    note.write_text(closed_port)
    assert cluster_at_hand() is None
    note.write_text("")
    assert cluster_at_hand() is None
    note.write_bytes(b"\xff\xfe")
    assert cluster_at_hand() is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives a file away")
def test_the_cluster_of_another_user_is_not_at_hand(tmp_path, monkeypatch, listening):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    note.write_text(listening)
    os.chown(note, 65534, -1)
    assert cluster_at_hand() is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("10.0.0.1:1", False),
        ("127.0.0.1.example:1", False),
    ],
)
def test_loopback_is_known(address, expected):
    assert is_loopback(address) is expected


def test_a_folder_goes_once_its_process_has_ended_and_not_before():
    script = (
        "from qs.engine.distributed.ray.cluster import new_folder; import sys\n"
        "print(new_folder()[0], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        assert len(str(theirs)) < 24  # sockets below have names of 107 bytes at most
        remove_stale()
        assert theirs.exists()
        other.kill()
    remove_stale()
    assert not theirs.exists()


def test_what_only_looks_like_one_of_ours_is_left_alone(tmp_path):
    looks = Path(f"/tmp/{ray_cluster.PREFIX}looks-like-{os.getpid()}")
    looks.mkdir()
    link = Path(f"{looks}-link")
    link.symlink_to(tmp_path)
    (tmp_path / "held").write_text("")
    try:
        remove_stale()
        assert looks.exists() and (tmp_path / "held").exists()
    finally:
        link.unlink()
        looks.rmdir()


def test_each_cluster_has_a_token_and_an_entry_of_its_own(tmp_path):
    one, other = settings_of(tmp_path), settings_of(tmp_path)
    assert one["RAY_AUTH_MODE"] == "token"
    assert len(one["RAY_AUTH_TOKEN"]) == 64 and one["RAY_AUTH_TOKEN"] != other["RAY_AUTH_TOKEN"]
    assert one["RAY_TMPDIR"] == str(tmp_path)


def test_a_small_shared_memory_is_seen(tmp_path):
    assert ray_cluster.free_of(str(tmp_path)) > 0
    assert ray_cluster.free_of("/no/such/folder") == 0


@pytest.mark.parametrize(
    ("cpus", "of", "expected"),
    [
        ({0, 1}, 2, [[0], [1]]),
        ({0, 1, 2, 3, 5}, 2, [[0, 1, 2], [3, 5]]),
        (set(range(8)), 3, [[0, 1, 2], [3, 4, 5], [6, 7]]),
        ({4}, 1, [[4]]),
        ({0, 1}, 3, []),  # fewer than nodes: none is pinned
    ],
)
def test_cpus_are_divided(cpus, of, expected):
    assert shares_of_cpus(cpus, of) == expected


def test_our_own_folder_is_new():
    folder, held = new_folder()
    try:
        assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0
    finally:
        os.close(held)
        (folder / "held").unlink()
        folder.rmdir()
