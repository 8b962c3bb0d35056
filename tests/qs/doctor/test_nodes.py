"""`qs doctor --nodes`: machines side by side, what differs, what it does to a measurement."""

from __future__ import annotations

import asyncio
import io
import json

import pytest

from qs.doctor.finding import OK, UNKNOWN, WARN
from qs.doctor.nodes import Looked, findings_of, look_at, nodes_check, print_machines
from qs.engine import ClockReading
from qs.engine.distributed import ProcessPlaces, open_nodes
from qs.settings.nodes_asked import NodesAsked
from tests.qs.program import qs, refused

CLOCK = ClockReading(10_000, 40_000, 1.0, 16, 90_000)
FACTS = {
    "machine": "m1",
    "cpu_model": "EPYC 7763",
    "cpus": 8,
    "cores": 8.0,
    "governor": "performance",
    "python": "3.11.2",
    "kernel": "Linux 6.1",
    "versions": {"qs": "0.1.0", "numpy": "2.1.0", "ray": "2.60.0"},
    "memory_bytes": 64 << 30,
    "free_memory_bytes": 32 << 30,
    "shm_bytes": 32 << 30,
    "load_1m": 0.1,
    "open_files": 65536,
    "environment": {},
}


def machine(name="a", clock=CLOCK, wall_off_s=0.001, lost="", **facts):
    return Looked(name, "10.0.0.1", FACTS | {"machine": name} | facts, clock, wall_off_s, lost)


def found(*machines):
    return {each.name: each for each in findings_of(machines)}


def test_machines_that_are_alike_are_fit():
    every = found(machine("a"), machine("b"), machine("c"))
    assert {each.status for each in every.values()} == {OK}
    assert nodes_check([], [])["summary"] == "0 nodes: no problem found"
    assert every["alike"].value.startswith("CPU, usable CPUs, cores")


@pytest.mark.parametrize(
    ("other", "name", "said"),
    [
        ({"cpu_model": "Xeon"}, "CPU", "EPYC 7763 on a and b; Xeon on c"),
        ({"cores": 4.0}, "cores", "8.0 on a and b; 4.0 on c"),
        ({"governor": "powersave"}, "frequency governor", "powersave on c"),
        ({"python": "3.12.1"}, "Python", "3.12.1 on c"),
        ({"kernel": "Linux 5.4"}, "kernel", "Linux 5.4 on c"),
        ({"versions": {"numpy": "1.26"}}, "numpy", "1.26 on c"),
        ({"versions": {"ray": "2.9"}}, "ray", "2.9 on c"),
        ({"memory_bytes": 16 << 30}, "memory", "17.2 GB on c"),
        ({"environment": {"OMP_NUM_THREADS": "1"}}, "thread variables", "OMP_NUM_THREADS=1 on c"),
        ({"load_1m": 5.5}, "other load", "c 5.5"),
        ({"free_memory_bytes": 1 << 30}, "memory", "c 1.07 GB free"),
        ({"shm_bytes": 64 << 20}, "/dev/shm", "c 67.1 MB"),
        ({"open_files": 256}, "open files", "c 256"),
        ({"machine": "a"}, "machines", "one machine for a and c"),
        ({"lost": "gone"}, "nodes", "1 node of 3 lost: c: gone"),
        ({"wall_off_s": -3.0}, "time of day", "-3 s off this machine's at most (c)"),
        ({"clock": ClockReading(0, 9_000_000, 0, 1, 1)}, "clocks", "within 9 ms (c the worst)"),
        ({"clock": ClockReading(0, 1, 0, 1, 99_000_000)}, "round trips", "99 ms at least to c"),
    ],
)
def test_what_differs_is_a_warning_with_a_fix(other, name, said):
    findings = findings_of([machine("a"), machine("b"), machine("c", **other)])
    warned = [each for each in findings if each.status == WARN]
    assert [each.name for each in warned] == [name]
    assert said in warned[0].value and warned[0].effect and warned[0].fix


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"versions": 3, "environment": [1], "cores": "many", "load_1m": True, "memory_bytes": {}},
        {"cores": float("nan"), "load_1m": float("inf"), "shm_bytes": 10**400, "open_files": -1},
        {"cpu_model": "\x1b[2J" * 999, "versions": {"\n": "\n"}, "memory_bytes": -(10**400)},
    ],
)
def test_a_machine_may_say_anything_or_nothing(facts):
    machines = [machine("a"), Looked("b\x1b[2J", "?", facts)]
    findings = findings_of(machines)
    stream = io.StringIO()
    print_machines(machines, stream)
    assert "\x1b[2J" not in stream.getvalue() + "".join(map(str, findings))
    assert nodes_check(machines, findings)


def test_nothing_is_known_of_no_machine():
    assert {each.status for each in findings_of([])} == {OK, UNKNOWN}


def test_node_processes_are_asked():
    opened = open_nodes(ProcessPlaces(2))
    machines = asyncio.run(look_at(NodesAsked(2), print, opened))
    assert len({each.name for each in machines}) == 2
    every = {each.name: each for each in findings_of(machines)}
    assert every["machines"].status == WARN and every["clocks"].status == OK
    assert all(abs(each.wall_off_s) < 0.1 and not each.lost for each in machines)
    assert every["nodes"].value == "2 nodes"
    assert json.loads(json.dumps(nodes_check(machines, list(every.values()))))["nodes"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ray", "a:6379"), "--ray is 'a:6379'; allowed: given with --nodes"),
        (("--nodes", "al"), "--nodes: 'al' is neither"),
        (("--nodes", "2", "--instances", "2"), "--instances is 'given'; allowed: left out"),
    ],
)
def test_what_is_refused(words, said):
    refused(qs("doctor", *words), said)
