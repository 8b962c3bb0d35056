"""Which nodes of a cluster are taken, and what is said where they cannot be."""

from __future__ import annotations

import pytest

from qs.engine.distributed.errors import NodesError
from qs.engine.distributed.ray.choosing import chosen, name_of, spare_of


def node(key: str, address: str, alive: bool = True, labels=None, resources=None, name=None):
    return {
        "NodeID": key,
        "Alive": alive,
        "NodeManagerAddress": address,
        "NodeManagerHostname": f"host-{key}",
        "NodeName": name or address,
        "Labels": {"ray.io/node-id": key, **(labels or {})},
        "Resources": {f"node:{address}": 1.0, "memory": 1e9, **(resources or {})},
    }


NODES = [
    node("d", "10.0.0.10", labels={"zone": "east"}),
    node("b", "10.0.0.9", labels={"zone": "west"}, resources={"accelerator_type:A100": 1.0}),
    node("gone", "10.0.0.1", alive=False, labels={"zone": "north"}),
    node("c", "10.0.0.200", labels={"zone": "east"}, resources={"rack": 7.0}),
]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("all", "cbd"),
        (1, "c"),
        ("2", "cb"),
        (3, "cbd"),
        ("zone=east", "cd"),
        ("zone=west", "b"),
        ("accelerator_type=A100", "b"),
        ("rack=7", "c"),
    ],
)
def test_the_drivers_own_comes_first_then_they_are_in_order_of_addresses(asked, expected):
    assert "".join(each["NodeID"] for each in chosen(asked, NODES, "c", "x:1")) == expected


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (4, ["4 are asked for", "3 nodes", "10.0.0.9", "--ray local"]),
        (0, ["at least 1"]),
        ("some", ["'some'", "number", "'all'", "label=value"]),
        ("zone=", ["label=value"]),
        ("zone=north", ["none of the 3 nodes", "x:1", "zone is east or west there"]),
        ("rack=9", ["rack is 7 there"]),
        ("zones=east", ["did you mean zone?"]),
        ("rack=seven", ["none of the 3 nodes"]),
    ],
)
def test_what_cannot_be_had_is_said_with_what_there_is(asked, words):
    with pytest.raises(NodesError) as raised:
        chosen(asked, NODES, "c", "x:1")
    assert all(each in str(raised.value) for each in words), str(raised.value)


def test_nodes_without_labels_are_told_how_to_get_some():
    with pytest.raises(NodesError, match="no labels.*--labels"):
        chosen("a=b", [node("a", "10.0.0.1")], "a", "x:1")


def test_a_spare_node_is_one_not_in_use_else_one_that_lost_its_process():
    def spare(used, again):
        return "".join(each["NodeID"] for each in spare_of(NODES, used, again))

    assert spare({"c", "b"}, {"b"}) == "db"
    assert spare({"c", "b", "d"}, {"c"}) == "c"
    assert spare({"c", "b", "d"}, {"gone"}) == ""


def test_a_node_is_called_what_its_user_calls_it():
    assert name_of(node("a", "10.0.0.1")) == "host-a"
    assert name_of(node("a", "10.0.0.1", name="big one")) == "big one"


def test_addresses_of_version_6_and_names_of_hosts_are_ordered_too():
    nodes = [node("a", "host.example"), node("b", "fd00::2"), node("c", "10.0.0.1")]
    assert [each["NodeID"] for each in chosen("all", nodes, "?", "x:1")] == ["c", "b", "a"]
