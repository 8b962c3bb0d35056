"""The driver's side of the process that holds Ray. Its other side is a stand-in here, or the real
one as far as it comes without Ray; `test_ray_places.py` has the whole.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.places.places import Placed, Shipped, Where
from qs.engine.distributed.ray import keeper
from qs.engine.distributed.ray.keeper import RayPlaces
from tests.waiting import gone, until

WHERE = Where("127.0.0.1", 1, b"0" * 32)

STAND_IN = """
import json, os, sys, time
up = os.fdopen(int(sys.argv[1]), "w")
def tell(**message):
    print(json.dumps(message), file=up, flush=True)
place = {"name": "a", "address": "10.0.0.1", "about": {}}
waiting = None
for line in sys.stdin:
    if line == "goodbye\\n":
        continue
    message = json.loads(line)
    do, id = message["do"], message["id"]
    if do == "open":
        asked = message["asked"]
        tell(say="nearly")
        placed = [{**place, "number": n} for n in range(asked["nodes"])]
        cluster = json.dumps(asked)
        tell(id=id, answer={"placed": placed, "address": "10.0.0.9", "cluster": cluster, "own": 0})
    elif do == "start" and message["number"] == 0:
        waiting = id  # answered after the next one
    elif do == "start":
        tell(id=id, answer={})
        if waiting is not None:
            tell(id=waiting, answer={})
        tell(lost=[1, "it broke"])
        tell(lost=[1, "told twice"])
    elif do == "end" and message["number"] == 9:
        print("no more", file=sys.stderr, flush=True)
        os._exit(7)
    elif do == "end":
        tell(id=id, answer={})
    elif message["but"] == [0]:
        tell(id=id, answer={"placed": {**place, "number": 5}})
    elif message["but"] == [1]:
        tell(id=id, error="no such place")
    elif message["but"] == [2]:
        pass  # never answered
    else:
        tell(id=id, answer={"placed": None})
HANG = 0
if HANG:
    time.sleep(1000)
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """In place of the process that holds Ray; called with whether it hangs at its end."""

    def place(hangs: bool = False) -> None:
        text = STAND_IN.replace("HANG = 0", f"HANG = {int(hangs)}")
        (tmp_path / "stand_in_keeper.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(keeper, "_PROGRAM", "stand_in_keeper")

    return place


def opened(work, *arguments):
    """Run `await work(places, placed)` with open places, and close them."""

    async def main():
        places = RayPlaces(*arguments)
        try:
            return await asyncio.wait_for(work(places, await places.open()), 60)
        finally:
            folder, process = places._folder, places._process
            await places.close()
            await places.close()  # twice is as good as once
            assert folder is None or not folder.exists()
            assert process is None or process.poll() is not None

    return asyncio.run(main())


def refused(*arguments) -> str:
    async def main():
        places = RayPlaces(*arguments)
        try:
            with pytest.raises(NodesError) as raised:
                await asyncio.wait_for(places.open(), 60)
        finally:
            await places.close()
        return str(raised.value)

    return asyncio.run(main())


def test_what_is_asked_reaches_it_and_what_it_says_comes_back(stand_in, tmp_path):
    stand_in()
    said: list[str] = []

    async def work(places, placed):
        assert placed == [Placed(n, "a", "10.0.0.1") for n in range(2)]
        assert places.address == "10.0.0.9"
        return places.cluster

    shipped = Shipped((Path("module"),), Path("folder"), {"A": "1"})
    asked = opened(work, 2, "10.0.0.1:6379", shipped, said.append)
    assert said == ["nearly"]
    assert '"address": "10.0.0.1:6379"' in asked and '"variables": {"A": "1"}' in asked
    assert str(Path("module").absolute()) in asked and str(Path("folder").absolute()) in asked


def test_answers_may_come_in_any_order_and_a_question_may_be_given_up(stand_in):
    stand_in()

    async def work(places, placed):
        started = [asyncio.ensure_future(places.start(each, WHERE)) for each in placed]
        await asyncio.gather(*started)
        assert await places.lost() == (1, "it broke")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(places.spare([2]), 0.1)
        assert (await places.spare([0])).number == 5
        assert await places.spare([0, 1]) is None
        with pytest.raises(NodesError, match="no such place"):
            await places.spare([1])
        await places.end(0)
        assert places._lost.empty()  # told twice, and ended: neither is a loss

    opened(work, 2)


def test_its_end_is_the_loss_of_all_that_runs_with_its_last_words(stand_in):
    stand_in()

    async def work(places, placed):
        await asyncio.gather(*(places.start(each, WHERE) for each in placed))
        await places.lost()
        await places.end(9)
        number, why = await places.lost()
        assert number == 0 and "exit status 7" in why and "no more" in why
        with pytest.raises(NodesError, match="exit status 7"):
            await places.spare([0])

    opened(work, 2)


def test_one_that_does_not_end_is_ended(stand_in, monkeypatch):
    monkeypatch.setattr(keeper, "_END_LIMIT_S", 0.3)
    stand_in(hangs=True)

    async def work(places, placed):
        return places._process.pid

    assert gone(opened(work, 1))


def test_an_interpreter_that_cannot_run_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "_PROGRAM", "no_such_program_at_all")
    assert "no_such_program_at_all" in refused(1)


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(keeper, "find_spec", lambda name: None)
    assert "pip install 'quicksilver-perf[ray]'" in refused(2)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ray://10.0.0.1:10001", ["--ray", "client", "HOST:PORT", "6379"]),
        ("nowhere", ["--ray", "nowhere", "HOST:PORT"]),
        ("auto", ["--ray", "no Ray cluster answers on this machine", "ray start --head"]),
    ],
)
def test_an_address_that_cannot_be_used_is_said_so_before_ray_is_loaded(
    address, words, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    told = refused(2, address)
    assert all(each in told for each in words), told


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (100_000, ["100000 of them on this machine alone", "GB are free"]),
        (0, ["from 1"]),
        ("zone=a", ["'zone=a' needs a cluster", "--ray HOST:PORT"]),
    ],
)
def test_what_this_machine_alone_cannot_be_is_said_before_ray_is_loaded(nodes, words):
    told = refused(nodes, "local")
    assert all(each in told for each in words), told


def test_an_address_of_the_environment_is_named_as_such(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    told = refused(2, None)
    assert told.startswith("RAY_ADDRESS") and "refused" in told


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_a_driver_that_is_killed(tmp_path, number):
    script = """
import asyncio
from qs.engine.distributed.ray import keeper
async def main():
    places = keeper.RayPlaces(1)
    places._start()
    print(places._process.pid, places._folder, flush=True)
    await asyncio.sleep(1000)
asyncio.run(main())
"""

    async def main():
        driver = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
        )
        assert driver.stdout is not None
        pid, folder = (await driver.stdout.readline()).decode().split()
        assert not gone(int(pid))
        os.kill(driver.pid, number)
        await driver.wait()
        until(lambda: gone(int(pid)) and not Path(folder).exists())

    asyncio.run(main())
