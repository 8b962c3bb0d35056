"""docs/nodes.md and docs/clusters.md: every command is one that qs takes, and those of a laptop are
run; the files for clusters are what Ray's launcher and KubeRay take.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from qs.api.asking import NOT_HERE, parsed
from qs.cli.doctor import command as doctor
from qs.cli.main import underscores
from qs.cli.nodes import taken
from qs.cli.requests import request_of
from qs.settings.nodes_asked import PER_NODE, NodesAsked
from qs.settings.traffic import Traffic
from tests.qs.program import ROOT
from tests.qs.results import read_result

NODES, CLUSTERS = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("nodes", "clusters"))
PAGES = NODES + CLUSTERS


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


LINES = [
    line
    for kind in ("sh", "console")
    for block in blocks(PAGES, kind)
    for line in block.splitlines()
]
# Also those that a launcher runs on a machine of the cluster.
COMMANDS = [
    found.strip(" '")
    for line in LINES
    if (found := "".join(re.findall(r"(?:^|-- |')(qs (?:run|load|sweep|doctor) .*)", line)))
]
(AT_HOME,) = (block for block in blocks(NODES, "sh") if block.startswith("qs "))
FILES = [yaml.safe_load(block) for block in blocks(CLUSTERS, "yaml")]


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_asks_for_nodes(line):
    name, *words = shlex.split(line)[1:]
    if name == "doctor":
        given = doctor.make_context(name, words, token_normalize_func=underscores).params
        assert taken({"nodes": given["nodes"], "ray": given["ray"]}, Traffic())
        return
    options = parsed(name, words)
    if name == "sweep":
        assert options["nodes"] and not options["per_node"]
        return
    from qs.cli.naming import settled

    options = {each: options[each] for each in options.keys() - {*NOT_HERE, "rounds"}}
    request = request_of(settled(options))
    assert isinstance(request.nodes, NodesAsked)


def test_there_are_commands():
    assert len(COMMANDS) > 12


def test_each_number_of_a_node_is_on_the_page():
    (said,) = re.findall(r"It takes\n(.*?):\n\n", NODES, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", said)) == set(PER_NODE)


def test_the_launchers_files_are_of_its_schema():
    """Ray's own, which lies in its package; `min_workers` is of a list of machines alone."""
    found = find_spec("ray")
    assert found is not None and found.origin is not None
    place = Path(found.origin).parent / "autoscaler" / "ray-schema.json"
    schema = json.loads(place.read_text())
    launched = [each for each in FILES if "provider" in each]
    assert [each["provider"]["type"] for each in launched] == ["local", "aws"]
    for each in launched:
        own = dict(each)
        if each["provider"]["type"] == "local":
            assert own.pop("min_workers") == own["max_workers"]
            assert own["max_workers"] == len(own["provider"]["worker_ips"])
        else:
            kinds = own["available_node_types"]
            assert own["head_node_type"] in kinds
            most = sum(kind.get("max_workers", 0) for kind in kinds.values())
            assert own["max_workers"] == most
        jsonschema.validate(own, schema)
        assert "--head" in own["head_start_ray_commands"][1]
        assert "--address=$RAY_HEAD_IP:6379" in own["worker_start_ray_commands"][1]


def groups(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]


def test_the_pods_have_room_in_memory_to_share_and_stand_alone():
    (cluster,) = (each for each in FILES if each.get("kind") == "RayCluster")
    assert cluster["apiVersion"] == "ray.io/v1"
    for group in groups(cluster):
        spec = group["template"]["spec"]
        (container,) = spec["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {each["mountPath"] for each in container["volumeMounts"]} == {"/dev/shm"}
        assert {each["name"] for each in container["volumeMounts"]} == {
            each["name"] for each in spec["volumes"]
        }
        assert spec["volumes"][0]["emptyDir"]["medium"] == "Memory"
    (load,) = cluster["spec"]["workerGroupSpecs"]
    assert load["replicas"] == load["minReplicas"] == load["maxReplicas"]
    (apart,) = load["template"]["spec"]["affinity"]["podAntiAffinity"].values()
    assert apart[0]["labelSelector"]["matchLabels"] == {"ray.io/group": load["groupName"]}


@pytest.mark.slow
def test_ray_start_knows_what_it_is_told():
    from ray.scripts.scripts import start

    known = {name for option in start.params for name in (*option.opts, *option.secondary_opts)}
    told = re.findall(r"ray start ([^`;\n]*)", PAGES)
    flags = {flag for line in told for flag in re.findall(r"--[a-z-]+", line)}
    assert flags and flags <= known
    for cluster in FILES:
        for group in groups(cluster) if cluster.get("kind") == "RayCluster" else ():
            assert {f"--{name}" for name in group["rayStartParams"]} <= known


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_commands_of_a_laptop_run_as_typed(tmp_path):
    """A cluster is started and ended for each of the two."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    more = {"PATH": path, "PYTHONPATH": str(ROOT), "QS_DATA": str(tmp_path / "data")}
    more["RAY_TMPDIR"] = str(tmp_path)  # where no cluster is at hand
    (snippet,) = blocks(NODES, "python")
    for command in (["sh", "-ec", AT_HOME], [sys.executable, "-W", "error", "-c", snippet]):
        ran = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=140,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        saved = read_result(next(tmp_path.glob("reports/CPU/*/result-fp32.json")))
        (row,) = saved["Performance"]
        assert row["Node Count"] == 2 and row["Nodes Lost"] == 0
        assert "nodes_together" in row["Warning Codes"]
