"""`qs run` and `qs load` of several backends: from the command to the page."""

from __future__ import annotations

import json

import pytest

import qs as package
from tests.qs.lineup import backends
from tests.qs.lineup.backends import MODEL, TASK
from tests.qs.program import refused
from tests.qs.results import read_result
from tests.qs.small_backend import COMPILER

FAST, SLOW = backends.predict(0.001), backends.predict(0.008)
RAISES = "def predict(self, feeds):\n    raise ValueError('no answer')\n"
QUICK = ("--duration", "1s", "--rounds", "2", "--no_history", "--no_picture")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run of three, of which one fails to compile."""
    bodies = {"QUICK": FAST, "SLOW": SLOW}
    root = backends.write(tmp_path_factory.mktemp("three") / "w", bodies, clients=1)
    broken = COMPILER.replace('sizes = configs["workload"]["batch_sizes"]', 'raise OSError("no")')
    backends.add(root, "BROKEN", FAST, broken)
    return root, backends.run(root, "quick,BROKEN,SLOW", *QUICK, "--json")


def test_the_ordering_comes_out_and_the_broken_one_is_named(measured):
    root, ran = measured
    assert ran.returncode == 3, ran.stderr  # of the one that failed
    found = json.loads(ran.stdout)
    assert found["cases"][0]["by_speed"] == ["QUICK", "SLOW"]
    assert "BROKEN was not measured: compile: OSError: no" in found["sentence"]
    assert found["sentence"] in ran.stderr.replace("\n", " ")
    assert set(found["results"]) == {"QUICK", "BROKEN", "SLOW"}
    assert "round 2 of 2, batch size 1: QUICK " in ran.stderr


def test_each_backend_leaves_its_own_report_with_all_turns_in_one_row(measured):
    root, _ = measured
    for name, status in (("QUICK", "complete"), ("SLOW", "complete"), ("BROKEN", "failed")):
        folder = root / "reports" / name / MODEL
        (file,) = folder.glob("result-*.json")
        result = read_result(file)
        assert result["Status"] == status
        assert (folder / "report.html").is_file()
        if status == "failed":
            continue
        (row,) = result["Performance"]
        assert row["Histogram"] == "latency/fp16-bs1-c1.hlog"
        assert row["Histograms"] == [f"latency/fp16-bs1-c1-{turn}.hlog" for turn in (1, 2)]
        assert all((folder / each).is_file() for each in (*row["Histograms"], row["Histogram"]))
        assert row["QPS"] == pytest.approx(row["Completed"] / row["Wall Time"])


def test_the_comparison_is_a_page_markdown_and_json(measured):
    root, ran = measured
    folder = root / "reports" / "QUICK+BROKEN+SLOW" / MODEL
    page = (folder / "comparison.html").read_text()
    assert "../../SLOW" in page and "BROKEN" in page
    saved = json.loads((folder / "comparison.json").read_text())
    assert saved["sentence"] == json.loads(ran.stdout)["sentence"]
    assert "| 1 | QUICK |" in (folder / "comparison.md").read_text()
    assert not (folder / "comparison.svg").exists()  # --no_picture


@pytest.mark.slow
def test_one_whose_queries_fail_is_invalid_and_not_measured_again(tmp_path):
    root = backends.write(tmp_path / "w", {"GOOD": FAST, "BAD": RAISES}, clients=1)
    ran = backends.run(root, "GOOD,BAD", *QUICK, "--trace", "--json")
    assert ran.returncode == 3
    found = json.loads(ran.stdout)
    assert "only GOOD was measured, so nothing can be compared" in found["sentence"]
    assert "BAD was not measured: BS 1: " in found["sentence"]
    assert found["cases"][0]["left_out"].keys() == {"BAD"}
    assert ran.stderr.count("BAD failed") == 1
    for name in ("GOOD", "BAD"):
        assert (root / "reports" / name / MODEL / "trace.json").is_file()


def test_all_faults_of_all_backends_are_one_message_before_any_work(tmp_path):
    root = backends.write(tmp_path / "w", {"QUICK": FAST, "SLOW": SLOW})
    ran = backends.run(
        root, "QUICK,SLWO,TORHC", "--answers", "FAST=a.json", "--compile_only", "--raw", "x.csv"
    )
    refused(ran, "unknown hardware type 'SLWO'; did you mean 'SLOW'?", "'TORHC'")
    for word in ("--answers", "--compile_only", "--raw"):
        assert word in ran.stderr
    ran = backends.run(root, "QUICK,SLOW", "--pool", "inline", "--clients", "2")
    refused(ran, "--pool")
    assert ran.stderr.count("--pool is") == 1  # alike for all
    assert not (root / "reports").exists()


def test_rounds_of_one_backend_and_lists_elsewhere_are_refused(tmp_path):
    root = backends.write(tmp_path / "w", {"QUICK": FAST, "SLOW": SLOW})
    refused(backends.run(root, "QUICK", "--rounds", "2"), "--rounds", "several backends")
    refused(backends.run(root, "QUICK,SLOW", verb="sweep"), "`qs run` and `qs load`")
    refused(backends.run(root, "QUICK,SLOW", verb="numeric"), "one backend here")


def test_a_dry_run_shows_the_plan_of_each(tmp_path):
    root = backends.write(tmp_path / "w", {"QUICK": FAST, "SLOW": SLOW})
    ran = backends.run(root, "QUICK,SLOW", "--dry_run", "--json")
    assert ran.returncode == 0
    found = json.loads(ran.stdout)
    assert found["rounds"] == 3 and set(found["backends"]) == {"QUICK", "SLOW"}
    shown = backends.run(root, "QUICK,SLOW", "--dry_run", "--rounds", "4").stdout
    assert "QUICK, SLOW: measured in turn, each case in up to 4 rounds" in shown
    assert not (root / "reports").exists()


@pytest.mark.slow
def test_one_that_spins_is_ended_between_its_turns(tmp_path):
    spins = """
    def predict(self, feeds):
        if not hasattr(self, "spinning"):
            self.spinning = threading.Thread(target=self.spin, daemon=True)
            self.spinning.start()
        time.sleep(0.001)
        return {"logits": np.zeros((self.batch_size, 10), np.float32)}

    def spin(self):
        while True:
            pass
    """
    root = backends.write(tmp_path / "w", {"RESTS": FAST, "SPINS": spins}, batch_sizes=[1, 2])
    ran = backends.run(root, "SPINS,RESTS", *QUICK)
    assert ran.stderr.count("SPINS computes when it is not asked to") == 1
    assert "RESTS is measured again" in ran.stderr
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_from_python_and_a_load_test(tmp_path):
    root = backends.write(tmp_path / "w", {"QUICK": FAST, "SLOW": SLOW})
    asked = {"workspace": root, "out": root / "reports", "no_history": True, "rounds": 3}
    found = package.run(TASK, hardware_type=["QUICK", "SLOW"], duration=2, **asked)
    assert list(found.results) == ["QUICK", "SLOW"]
    assert found.sentence.startswith("QUICK is faster at batch size 1 (")
    assert found.page is not None and found.page.is_file()
    assert found.page.with_suffix(".svg").read_text().startswith("<svg")
    loaded = backends.run(root, "QUICK,SLOW", "--duration", "2s", "--no_history", verb="load")
    assert loaded.returncode == 0
    assert "QUICK is faster at batch size 1" in loaded.stdout
