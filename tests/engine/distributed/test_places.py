from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.places.node_process import machine_id
from qs.engine.distributed.places.places import Placed, ProcessPlaces, Shipped, Where
from tests.waiting import gone, until

WHERE = Where("127.0.0.1", 1234, b"\x00\xff" * 16)

# In place of a node process: it writes down what it sees, and waits for the end of its input.
STAND_IN = """
import json, os, subprocess, sys
line = sys.stdin.readline()
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
seen = {
    "line": json.loads(line), "command": sys.argv[3:], "pid": os.getpid(), "child": child.pid,
    "folder": os.getcwd(), "path": sys.path, "variables": dict(os.environ),
}
with open(sys.argv[1], "w") as file:
    json.dump(seen, file)
os.rename(sys.argv[1], sys.argv[2])
print("last words")
sys.stdin.read()
"""


def stand_in(folder: Path, number: int) -> tuple[str, ...]:
    words = (str(folder / f"{number}.part"), str(folder / f"{number}.json"))
    return (sys.executable, "-c", STAND_IN, *words)


def seen_by(folder: Path, number: int) -> dict:
    path = folder / f"{number}.json"
    until(path.exists)
    return json.loads(path.read_text())


def test_what_a_node_is_told_is_what_it_reads():
    line = WHERE.line(7)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert Where.of(line) == (7, WHERE)


def test_the_secret_is_in_no_description():
    assert "xff" not in repr(WHERE) and WHERE.secret.hex() not in repr(WHERE)


def test_places_are_numbered_and_of_this_machine():
    async def main():
        places = ProcessPlaces(3)
        placed = await places.open()
        assert [each.number for each in placed] == [0, 1, 2]
        assert {each.name for each in placed} == {socket.gethostname()}
        assert {each.about["machine"] for each in placed} == {machine_id()}
        spare = await places.spare({0, 1, 2})
        assert spare is not None and spare.number == 3
        other = await places.spare({0, 1, 2, 3, 9})
        assert other is not None and other.number > 9
        await places.close()

    asyncio.run(main())


def test_a_node_process_is_started_as_asked(tmp_path):
    package = tmp_path / "elsewhere" / "extra_package"
    package.mkdir(parents=True)
    work = tmp_path / "work"
    work.mkdir()

    async def main():
        places = ProcessPlaces(
            2,
            Shipped((package,), work, {"OURS": "1", "BOTH": "shipped"}),
            prefixes=[stand_in(tmp_path, number) for number in range(2)],
            environments=[{}, {"BOTH": "own"}],
        )
        for placed in await places.open():
            await places.start(placed, WHERE)
        both = [await asyncio.to_thread(seen_by, tmp_path, number) for number in range(2)]
        await places.close()
        return both

    first, second = asyncio.run(main())
    assert [first["line"]["number"], second["line"]["number"]] == [0, 1]
    assert Where.of(json.dumps(first["line"])) == (0, WHERE)
    assert first["command"][-2:] == ["-m", "qs.engine.distributed.node.serving"]
    assert first["folder"] == str(work)
    assert str(package.parent) in first["path"]
    assert first["variables"]["OURS"] == "1"
    assert (first["variables"]["BOTH"], second["variables"]["BOTH"]) == ("shipped", "own")
    for one in (first, second):
        until(lambda one=one: gone(one["pid"]) and gone(one["child"]))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_node_process_that_is_killed_is_told_with_its_last_words(tmp_path, number):
    async def main():
        places = ProcessPlaces(2, prefixes=[stand_in(tmp_path, 0), stand_in(tmp_path, 1)])
        for placed in await places.open():
            await places.start(placed, WHERE)
        seen = [await asyncio.to_thread(seen_by, tmp_path, number) for number in range(2)]
        os.kill(seen[1]["pid"], number)
        lost = await asyncio.wait_for(places.lost(), 60)
        assert lost[0] == 1
        assert signal.Signals(number).name in lost[1] and "last words" in lost[1]
        # what it had started in a session of its own went with it
        until(lambda: gone(seen[1]["child"]))
        assert not gone(seen[0]["pid"])
        await places.close()
        until(lambda: gone(seen[0]["pid"]))

    asyncio.run(main())


def test_an_exit_status_is_told_and_what_was_ended_is_not_lost(tmp_path):
    async def main():
        fails = (sys.executable, "-c", "import sys; print('no luck'); sys.exit(3)")
        places = ProcessPlaces(2, prefixes=[stand_in(tmp_path, 0), fails])
        first, second = await places.open()
        await places.start(first, WHERE)
        await asyncio.to_thread(seen_by, tmp_path, 0)
        await places.end(first.number)
        await places.end(first.number)  # twice is as good as once
        await places.start(second, WHERE)
        number, why = await asyncio.wait_for(places.lost(), 60)
        assert number == 1 and "exit status 3" in why and "no luck" in why
        await places.close()

    asyncio.run(main())


def test_a_command_that_cannot_be_run_is_named():
    async def main():
        places = ProcessPlaces(1, prefixes=[("/no/such/program",)])
        with pytest.raises(NodesError, match=r"node 1 cannot be started.*no/such/program"):
            await places.start((await places.open())[0], WHERE)
        await places.close()

    asyncio.run(main())


def test_node_processes_end_when_their_driver_is_killed(tmp_path):
    script = f"""
import asyncio
from qs.engine.distributed.places.places import ProcessPlaces, Where
async def main():
    places = ProcessPlaces(1, prefixes=[{stand_in(tmp_path, 0)!r}])
    for placed in await places.open():
        await places.start(placed, Where("127.0.0.1", 1, b"0" * 32))
    await asyncio.sleep(1000)
asyncio.run(main())
"""

    async def main():
        driver = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
        seen = await asyncio.to_thread(seen_by, tmp_path, 0)
        driver.kill()
        await driver.wait()
        until(lambda: gone(seen["pid"]))
        os.kill(seen["child"], signal.SIGKILL)  # a stand-in does not end what it started

    asyncio.run(main())


def test_a_place_is_plain():
    assert Placed(1, "a", "127.0.0.1").about == {}
