"""Inputs in shared memory: registered, named in requests, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from qs.base.errors import UserError
from qs.remote import shared_memory
from qs.remote.address import parse
from qs.remote.asked import Asked
from qs.remote.serving import Serving
from qs.remote.shared_memory import FOLDER, Regions, check_here, left_behind
from tests.servers.kserve import KserveServer, Model, doubling

X = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}


def ours():
    return [each.name for each in FOLDER.iterdir() if f"-{os.getpid()}-" in each.name]


@pytest.fixture
def server():
    both = Model(
        "both",
        {"a": ("FP32", [-1]), "b": ("BYTES", [-1])},
        {"y": ("FP32", [-1]), "z": ("BYTES", [-1])},
        lambda feeds: {"y": feeds["a"], "z": feeds["b"]},
    )
    with KserveServer([doubling(), both]) as found:
        yield found


def serving(server, model="double"):
    return Serving(Asked.of({"url": server.url(model), "shared_memory": True}))


def test_inputs_are_read_where_they_are(server):
    served = serving(server)
    np.testing.assert_array_equal(served.infer(X)["y"], X["x"] * 2)
    (stated,) = server.inferences()[-1].document["inputs"]
    (region,) = server.regions
    assert stated["parameters"] == {
        "shared_memory_region": region,
        "shared_memory_offset": 0,
        "shared_memory_byte_size": 32,
    }
    assert ours() == []  # its name is gone: only the server holds it
    served.close()
    assert server.regions == {}


def test_the_same_batch_is_there_once(server):
    served = serving(server)
    requests = [served.request(X) for _ in range(3)]
    assert len(set(requests)) == len(server.regions) == 1
    served.request({"x": X["x"] + 1})
    assert len(server.regions) == 2
    served.close()
    assert server.regions == {}
    served.infer(X)  # it may go on
    assert len(server.regions) == 1
    served.close()
    assert server.regions == {}


def test_several_inputs_share_a_region_and_an_empty_one_needs_none(server):
    served = serving(server, "both")
    text = np.array(["a", "bc"])
    found = served.infer({"a": np.ones(3, np.float32), "b": text})
    assert (found["y"].tolist(), found["z"].tolist()) == ([1.0] * 3, ["a", "bc"])
    assert len(server.regions) == 1
    found = served.infer({"a": np.ones(0, np.float32), "b": text})
    assert (found["y"].tolist(), found["z"].tolist()) == ([], ["a", "bc"])
    found = served.infer({"a": np.ones(0, np.float32), "b": np.array([], str)})
    assert (found["y"].size, found["z"].size) == (0, 0)
    served.close()
    assert server.regions == {}


def test_a_process_that_is_killed_leaves_nothing_for_good(server):
    code = (
        "import os, signal, numpy as np\n"
        "from qs.remote.asked import Asked\n"
        "from qs.remote.serving import Serving\n"
        f"served = Serving(Asked.of({{'url': {server.url('double')!r}, 'shared_memory': True}}))\n"
        "served.infer({'x': np.ones((1, 4), np.float32)})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before = set(FOLDER.iterdir())
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert ended.returncode == -9
    (left,) = server.regions
    assert not [each for each in set(FOLDER.iterdir()) - before if each.name == left]
    served = serving(server)
    served.describe()
    assert server.regions == {}
    served.close()


def test_what_is_left_behind():
    space = os.stat("/proc/self/ns/pid").st_ino
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {
        f"qs-{space}-{gone.pid}-0": True,
        f"qs-{space}-{os.getpid()}-0": False,
        f"qs-{space + 1}-{gone.pid}-0": False,  # of another container
        f"other-{gone.pid}": False,
    }
    assert {name: left_behind(name) for name in names} == names


def test_a_server_elsewhere_is_refused():
    with pytest.raises(UserError, match="192.0.2.1 .* is no address of it"):
        check_here(parse("kserve+http://192.0.2.1:8000/m"))
    check_here(parse("kserve+http://127.0.0.1:8000/m"))
    check_here(parse("kserve+http://localhost:8000/m"))


def test_a_server_without_it_is_refused(server):
    server.extensions.remove("system_shared_memory")
    with pytest.raises(UserError, match="leave out --shared_memory"):
        serving(server).describe()


def test_a_server_that_cannot_open_it_says_so(server, monkeypatch, tmp_path):
    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path)
    served = serving(server)
    with pytest.raises(UserError, match="--shared_memory: Unable to open shared memory region"):
        served.infer(X)
    assert list(tmp_path.iterdir()) == []
    served.close()


def test_no_room(monkeypatch):
    def full(name, size):
        raise OSError(28, "No space left on device")

    regions = Regions(parse("kserve+http://127.0.0.1/m"), full, lambda name: None, list)
    with pytest.raises(UserError, match="/dev/shm: no room for 2 MB"):
        regions.put([bytes(1_000_000), bytes(1_000_000)])
    assert ours() == []
    regions.close()
