from __future__ import annotations

import pytest

from qs.contract import cores


def machine(root, cgroup="", mounts="", files=None, topology=None):
    """A root folder as the kernel would show it."""
    for name, text in {
        "proc/self/cgroup": cgroup,
        "proc/self/mounts": mounts,
        **(files or {}),
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for cpu, (package, core) in (topology or {}).items():
        folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        (folder / "core_id").write_text(f"{core}\n")
    return root


V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n"
V1 = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n"


@pytest.mark.parametrize(
    ("cgroup", "mounts", "files", "quota"),
    [
        ("", "", {}, None),
        ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", V2, {"sys/fs/cgroup/a/b/cpu.max": "400000 100000\n"}, 4.0),
        # a limit set on the parent binds the child too
        (
            "0::/a/b\n",
            V2,
            {
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
            },
            3.0,
        ),
        # inside a container the path names the host's hierarchy, the limit lies at the mount
        ("0::/docker/123\n", V2, {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),
        (
            "4:cpu,cpuacct:/\n",
            V1,
            {
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        (
            "4:cpu,cpuacct:/x\n",
            V1,
            {
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        ("7:memory:/m\n", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n", {}, None),
        ("0::/\n", V2, {"sys/fs/cgroup/cpu.max": "rubbish\n"}, None),
    ],
)
def test_quota(tmp_path, cgroup, mounts, files, quota):
    assert cores.cpu_quota(machine(tmp_path, cgroup, mounts, files)) == quota


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        (None, [0, 1, 2, 3]),
        ("800000 100000", [0, 1, 2, 3]),
        ("250000 100000", [0, 1]),
        ("50000 100000", [0]),
    ],
)
def test_usable_cpus_count_quota_and_mask(tmp_path, monkeypatch, quota, expected):
    monkeypatch.setattr(cores, "allowed_cpus", lambda: [0, 1, 2, 3])
    files = {} if quota is None else {"sys/fs/cgroup/cpu.max": quota}
    assert cores.usable_cpus(machine(tmp_path, "0::/\n", V2, files)) == expected


def test_a_quota_takes_whole_cores_before_second_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(cores, "allowed_cpus", lambda: [0, 1, 2, 3])
    topology = {0: (0, 0), 1: (0, 0), 2: (0, 1), 3: (0, 1)}
    root = machine(tmp_path, "0::/\n", V2, {"sys/fs/cgroup/cpu.max": "200000 100000"}, topology)
    assert cores.usable_cpus(root) == [0, 2]


def test_cores_and_packages(tmp_path):
    topology = {
        0: (0, 0),
        1: (0, 1),
        2: (1, 0),
        3: (1, 1),
        4: (0, 0),
        5: (0, 1),
        6: (1, 0),
        7: (1, 1),
    }
    root = machine(tmp_path, topology=topology)
    assert cores.core_count(range(8), root) == 4
    assert cores.package_count(range(8), root) == 2
    assert cores.package_count([0, 5], root) == 1
    assert cores.split(range(8), 2, root) == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert cores.split(range(8), 3, root) == [[0, 1, 4], [2, 5, 6], [3, 7]]


def test_without_topology_every_cpu_is_a_core(tmp_path):
    assert cores.core_count([3, 4, 9], tmp_path) == 3
    assert cores.package_count([3, 4, 9], tmp_path) == 1


def test_this_machine():
    import os

    cpus = cores.usable_cpus()
    assert cpus and set(cpus) <= os.sched_getaffinity(0)
