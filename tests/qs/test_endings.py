"""How a whole run ends where its surroundings fail: what was measured is shown, the exit status is
the verdict's or says what to correct, and what lies on disk misleads nobody.
"""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile

import pytest

from tests.qs import small_backend
from tests.qs.program import qs, refused
from tests.qs.small_backend import folder_of, result_in, write

FEW = ("--iterations", 5, "--warmup", 0, "--clients", 1)


def test_a_disk_that_fills_up_while_measuring(tmp_path, monkeypatch):
    root, make = write(tmp_path, batch_sizes=[1, 2]), tempfile.mkstemp
    events = folder_of(root) / "events.jsonl"

    def mkstemp(*arguments: object, **options: object):
        if "reports" in str(options.get("dir")) and "case begins" in events.read_text():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return make(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr("qs.base.files.tempfile.mkstemp", mkstemp)
        ran = qs(*small_backend.arguments(root, "run", *FEW))
    assert ran.returncode == 2 and "Traceback" not in ran.stderr
    assert "verdict: VALID" in ran.stdout and ran.stdout.count(" 5 ") >= 2, ran.stdout
    assert ran.stderr.count("error: the report is not complete: ") == 1
    assert "No space left on device" in ran.stderr.splitlines()[-1]
    found = result_in(root)
    assert (found["Status"], found["Verdict"]) == ("running", "INVALID")
    assert not (folder_of(root) / "report.html").exists()


def test_a_disk_that_is_full_before_anything_is_measured(tmp_path, monkeypatch):
    root = write(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("qs.base.files.os.fsync", full)
    refused(qs(*small_backend.arguments(root, "run", *FEW)), "--out", "No space left on device")
    assert not (root / "reports").exists()


STRANGE = r"""
def version(self):
    return "1 \udcff"

def predict(self, feeds):
    raise ValueError("bad \udcff \x1b[31m" + "x" * 1000)
"""


def test_strange_values_of_a_backend_and_the_command_line(tmp_path):
    """Also: where requests fail, every view says why."""
    place = os.fsdecode(os.fsencode(tmp_path) + b"/w\xff")
    os.mkdir(place)
    root = write(type(tmp_path)(place), predict=STRANGE)
    compiler = root / "backends" / "TINY" / "compile_backend_tiny.py"
    text = compiler.read_text().replace('"compile_status": "success"', '"own": [2**70, "\\udcff"]')
    compiler.write_text(text)
    ran = qs(*small_backend.arguments(root, "run", *FEW, "--json"))
    assert ran.returncode == 3 and "Traceback" not in ran.stderr, ran.stderr
    found = result_in(root)
    assert (found["Status"], found["Verdict"]) == ("complete", "INVALID")
    assert found["Runtime Version"] == "1 \\udcff"
    fault = "the first fault: ValueError: bad \\udcff \\x1b[31mxxx"
    (row,) = found["Performance"]
    (said,) = (reason for reason in row["Reasons"] if reason.startswith(fault))
    assert len(said) < 600
    folder = folder_of(root)
    for name in ("events.jsonl", "backend.log", "report.html"):
        text = (folder / name).read_text().replace("\\\\", "\\")
        assert "bad \\udcff" in text and "\x1b" not in text, name
    assert fault in ran.stderr and "\x1b" not in ran.stderr
    for wanted in ("md", "csv", "junit"):
        drawn = qs("report", folder, "--format", wanted, "--output", "-")
        assert drawn.returncode == 0 and "xxxx" in drawn.stdout, wanted


@pytest.mark.parametrize("command", ["run", "numeric"])
def test_a_seed_beyond_64_bits_is_refused(tmp_path, command):
    root = write(tmp_path)
    seed = ("--seed", 99999999999999999999)
    refused(qs(*small_backend.arguments(root, command, *seed)), "--seed", "99999999999999999999")


def test_a_run_outlives_its_terminal(tmp_path):
    root = write(tmp_path)
    whole = subprocess.list2cmdline(small_backend.command(root, *FEW))
    ran = subprocess.run(
        ["sh", "-c", f"exec {whole} 2>/dev/full >&-"],
        cwd=root,
        env=small_backend.environment(),
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0
    assert (result_in(root)["Status"], result_in(root)["Verdict"]) == ("complete", "VALID")


@pytest.mark.slow
def test_a_hint_about_coroutines_works_as_it_is_typed(tmp_path):
    answer = 'return {"logits": np.zeros((self.batch_size, 10), np.float32)}'
    root = write(tmp_path, config={}, predict=f"async def predict(self, feeds):\n    {answer}")
    ran = qs(*small_backend.arguments(root, "run", *FEW))
    refused(ran, "predict is a coroutine function", "add --pool async")
    ran = qs(*small_backend.arguments(root, "run", *FEW, "--pool", "async"))
    assert ran.returncode == 0, ran.stderr
