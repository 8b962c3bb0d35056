"""--nodes, --ray, --per_node and --on_loss: what is taken, what is refused, and in which words."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from qs.api.asking import NOT_HERE, arguments, parsed
from qs.base.errors import UserError
from qs.cli import nodes as of_nodes
from qs.cli.measuring import load_request
from qs.evaluate.nodes_asked import check_nodes
from qs.settings.nodes_asked import NodesAsked
from qs.settings.request import with_totals
from tests.qs.program import qs, refused


def asked(*words: str):
    return requested(["model.onnx", "-H", "CPU", *words])


def requested(words):
    options = parsed("load", words)
    return load_request({name: options[name] for name in options.keys() - {*NOT_HERE, "rounds"}})


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--nodes", "2"], NodesAsked(2)),
        (["--nodes", "ALL"], NodesAsked("all")),
        (["--nodes", "ray.io/zone=eu-1"], NodesAsked("ray.io/zone=eu-1")),
        (["--nodes", "2", "--ray", "10.0.0.1:6379"], NodesAsked(2, "10.0.0.1:6379")),
        (["--nodes", "2", "--ray", "[::1]:6379"], NodesAsked(2, "[::1]:6379")),
        (["--nodes", "2", "--ray", "Auto"], NodesAsked(2, "auto")),
        (["--nodes", "2", "--ray", "local"], NodesAsked(2, "local")),
        (["--nodes", "2", "--on_loss", "replace"], NodesAsked(2, on_loss="replace")),
        (["--nodes", "all", "--per_node", "clients=4"], NodesAsked("all", None, {"clients": 4})),
    ],
)
def test_what_is_taken(words, wanted):
    assert asked(*words).nodes == wanted


def test_no_nodes_are_this_machine():
    assert asked().nodes is None


def test_a_number_of_each_node_is_multiplied():
    request = asked("--nodes", "3", "--per_node", "clients=4,rate=2.5", "--per_node", "instances=2")
    assert (request.clients, request.instances, request.traffic.rate_per_s) == (12, 6, 7.5)
    assert request.nodes == NodesAsked(3)


def test_it_waits_until_the_count_is_known():
    request = asked("--nodes", "all", "--per_node", "rate=100", "--per_node", "iterations=50")
    assert request.traffic.rate_per_s is None and request.iterations is None
    found = with_totals(request, 4)
    assert (found.traffic.rate_per_s, found.iterations) == (400.0, 200)
    assert with_totals(found, 4) == found  # once


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nodes", "0"], "'0' is not a whole number from 1 to 10,000"),
        (["--nodes", "-3"], "'-3' is not a whole number"),
        (["--nodes", "1e3"], "'1e3' is neither a number of nodes (2), nor all, nor a label"),
        (["--nodes", "al"], "'al' is neither"),
        (["--nodes", "a="], "'a=' is neither"),
        (["--nodes", "\u0663"], "is not a whole number"),
        (["--ray", "10.0.0.1:6379"], "--ray is '10.0.0.1:6379'; allowed: given with --nodes"),
        (["--on_loss", "stop"], "--on_loss is 'stop'; allowed: given with --nodes"),
        (["--per_node", "clients=2"], "--per_node is 'clients=2'; allowed: given with --nodes"),
        (
            ["--nodes", "2", "--ray", "ray://head:10001"],
            "give HOST:PORT of its head, for example head:6379",
        ),
        (["--nodes", "2", "--ray", "http://head:8265"], "no cluster's address; give HOST:PORT"),
        (["--nodes", "2", "--ray", "10.0.0.1"], "did you mean 10.0.0.1:6379?"),
        (["--nodes", "2", "--ray", "head:99999"], "is not HOST:PORT"),
        (["--nodes", "2", "--on_loss", "repalce"], "replace"),
        (
            ["--nodes", "2", "--per_node", "client=2"],
            "'client' is not one of clients, workers, instances, rate, iterations, users, "
            "sessions_per_s, max_backlog; did you mean clients?",
        ),
        (["--nodes", "2", "--per_node", "clients"], "'clients' is not KEY=NUMBER"),
        (["--nodes", "2", "--per_node", "clients=0"], "clients=0 is not a whole number from 1 to"),
        (["--nodes", "2", "--per_node", "clients=2.5"], "clients=2.5 is not a whole number"),
        (["--nodes", "2", "--per_node", "rate=nan"], "rate=nan is not a number above 0"),
        (
            ["--nodes", "2", "--per_node", "clients=2", "--per_node", "clients=3"],
            "--per_node is 'clients=2, clients=3'; allowed: clients once",
        ),
        (
            ["--nodes", "2", "--per_node", "clients=2", "--clients", "3"],
            "--per_node is 'clients=2'; allowed: left out with --clients 3, which is the total",
        ),
        (["--nodes", "2", "--per_node", "rate=2", "--rate", "3"], "left out with --rate 3, which"),
        (
            ["--nodes", "2", "--per_node", "iterations=5"],
            "given in open loop; in closed loop --iterations is of each client",
        ),
        (["--nodes", "2", "--in_process"], "--in_process is 'given'; allowed: left out with"),
        (["--nodes", "2", "--scenario", "multi_stream"], "it means one stream of queries"),
    ],
)
def test_what_is_refused(words, said):
    with pytest.raises(UserError) as refused:
        asked(*words)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clients", "2"], "--clients is 2; allowed: 3 or more with --nodes 3"),
        (["--instances", "1"], "--instances is 1; allowed: 3 or more"),
        (["--users", "2"], "--users is 2; allowed: 3 or more"),
        (["--rate", "9", "--iterations", "2"], "--iterations is 2; allowed: 3 or more"),
    ],
)
def test_less_than_one_for_each_node_is_refused_before_a_cluster_is_started(words, said):
    with pytest.raises(UserError) as refused:
        check_nodes(asked("--nodes", "3", *words))
    assert said in str(refused.value)


def test_iterations_of_each_client_may_be_fewer_than_nodes():
    check_nodes(asked("--nodes", "3", "--iterations", "1"))


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(of_nodes, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'quicksilver-perf\[ray\]'"):
        asked("--nodes", "2")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("load", "digits", "-H", "CPU,OPENVINO", "--nodes", "2"),
            "--nodes is 2; allowed: one backend, not CPU,OPENVINO",
        ),
        (
            ("sweep", "digits", "-H", "CPU", "--nodes", "2", "--per_node", "clients=2,workers=2"),
            "--per_node is 'clients=2'; allowed: left out in a sweep: --clients is an axis of it",
        ),
        (
            ("sweep", "digits", "-H", "CPU", "--nodes", "2", "--clients", "1,2"),
            "--clients is 1; allowed: 2 or more with --nodes 2: one for each node",
        ),
        (("load", "digits", "--nodes", "two"), "--nodes: 'two' is neither a number of nodes (2)"),
    ],
)
def test_the_program_refuses_in_one_message(words, said):
    refused(qs(*words), said)


def test_a_dry_run_shows_what_one_node_has():
    """Nobody looks for a cluster then."""
    words = ("--nodes", "all", "--per_node", "clients=4", "--dry_run", "--json")
    ran = qs("load", "digits", "-H", "CPU", "-b", "1", *words)
    assert json.loads(ran.stdout)["cases"][0]["clients"] == 4


def test_python_says_the_same():
    words = arguments("load", ("model.onnx",), {"nodes": 2, "per_node": {"clients": 4, "rate": 9}})
    assert words == [
        "model.onnx",
        "--nodes",
        "2",
        "--per_node",
        "clients=4",
        "--per_node",
        "rate=9",
    ]
    assert requested([*words, "-H", "CPU"]).clients == 8


def test_the_help_imports_no_ray():
    code = "import sys; from qs.__main__ import main; main(); sys.exit('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "load", "--help"], stdout=subprocess.DEVNULL)
    assert done.returncode == 0
