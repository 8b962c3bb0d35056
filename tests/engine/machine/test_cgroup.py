"""CPU quotas and throttling as control groups tell them, on folders that look like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from qs.engine.machine.cgroup import cpu_folders, folders_of, free_memory, quota_cores, throttled_s


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("memberships", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        (
            "0::/a/b\n",
            {"cpu.max": "400000 100000", "a/cpu.max": "50000 100000", "a/b/cpu.max": "max 100000"},
            0.5,
        ),
        ("0::/a\n", {"a/cpu.max": "200000 100000", "other/cpu.max": "10000 100000"}, 2.0),
        ("0::/host/path/not/here\n", {"cpu.max": "100000 100000"}, 1.0),
        (
            "4:cpu,cpuacct:/job\n",
            {"cpu/job/cpu.cfs_quota_us": "250000", "cpu/job/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (
            "4:cpu:/job\n",
            {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"},
            None,
        ),
        (
            "4:cpuset:/job\n",
            {"cpuset/job/cpu.cfs_quota_us": "1000", "cpuset/job/cpu.cfs_period_us": "100000"},
            None,
        ),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/\n", {"cpu.max": "0 0"}, None),
        ("nothing of the kind\n", {"cpu.max": "1000 100000"}, None),
        ("", {}, None),
    ],
)
def test_quota(tmp_path, memberships, files, cores):
    assert quota_cores(cpu_folders(memberships, lay(tmp_path, files))) == cores


def test_a_path_that_climbs_out_of_the_root_stays_inside(tmp_path):
    root = lay(tmp_path, {"in/cpu.max": "100000 100000", "out/cpu.max": "1000 100000"}) / "in"
    assert quota_cores(cpu_folders("0::/../out\n", root)) == 1.0


@pytest.mark.parametrize(
    ("files", "seconds"),
    [
        ({"cpu.stat": "usage_usec 9\nnr_throttled 3\nthrottled_usec 2500000\n"}, 2.5),
        ({"cpu.stat": "nr_periods 1\nthrottled_time 1500000000\n"}, 1.5),
        ({"cpu.stat": "usage_usec 9\n"}, None),
        ({}, None),
    ],
)
def test_throttled(tmp_path, files, seconds):
    assert throttled_s(cpu_folders("0::/\n", lay(tmp_path, files))) == seconds


@pytest.mark.parametrize(
    ("memberships", "files", "free"),
    [
        (
            "0::/\n",
            {
                "memory.max": "1000",
                "memory.current": "300",
                "memory.stat": "anon 1\ninactive_file 50\n",
            },
            750,
        ),
        ("0::/\n", {"memory.max": "max", "memory.current": "300"}, None),
        (
            "0::/a\n",
            {
                "memory.max": "500",
                "memory.current": "450",
                "a/memory.max": "400",
                "a/memory.current": "10",
            },
            50,
        ),
        (
            "3:memory:/job\n",
            {"memory/job/memory.limit_in_bytes": "900", "memory/job/memory.usage_in_bytes": "950"},
            0,
        ),
        (
            "3:cpu:/job\n",
            {"cpu/job/memory.limit_in_bytes": "900", "cpu/job/memory.usage_in_bytes": "1"},
            None,
        ),
        ("0::/\n", {}, None),
    ],
)
def test_memory(tmp_path, memberships, files, free):
    assert free_memory(folders_of("memory", memberships, lay(tmp_path, files))) == free


def test_this_process_can_be_asked():
    quota = quota_cores(cpu_folders())
    assert quota is None or quota > 0
