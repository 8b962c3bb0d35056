"""How long is the way from `pip install` to the first chart of one's own ONNX file?

Everything that it takes but the download, which depends on the network: the wheels are fetched
before the clock runs. Then, each round: a fresh environment, `pip install` of this checkout, and in
an empty folder `qs load model.onnx`, which ends with report.html and its charts. Compared with
nothing: the goal is that a newcomer does not look away. --quick installs nothing, and measures the
last step alone.

    python bench/newcomer.py [--json] [--quick]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from compare import Report, Say, command

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "model_zoo" / "digits" / "digits-cnn-onnx-fp32.onnx"
GOAL_S = 60.0


def run_in(folder: Path, *words: object) -> None:
    """Run a command as a newcomer does, without what this shell has set."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    }
    kept["QS_DATA"] = str(folder / "data")
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env=kept, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")


def first_chart(python: Path, folder: Path) -> float:
    """Seconds of `qs load` of a file in an empty folder, until its page stands."""
    folder.mkdir()
    shutil.copy(MODEL, folder / "model.onnx")
    began = time.perf_counter()
    if python == Path(sys.executable):  # not installed: the checkout's own
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from qs.__main__ import main"
        words: tuple[object, ...] = (python, "-c", f"{program}; main()", "load", "model.onnx")
    else:
        words = (python, "-m", "qs", "load", "model.onnx")
    run_in(folder, *words)
    took = time.perf_counter() - began
    (page,) = folder.glob("reports/*/*/report.html")
    if "vega" not in page.read_text(encoding="utf-8"):
        raise SystemExit(f"{page} has no chart")
    return took


def installed(wheels: Path, folder: Path) -> tuple[Path, float]:
    """A fresh environment with this checkout in it, and how long that took."""
    began = time.perf_counter()
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run_in(
        folder,
        *(python, "-m", "pip", "install", "-q", "--no-index", "--find-links", wheels, ROOT),
    )
    return python, time.perf_counter() - began


def measure(options: argparse.Namespace, report: Report, say: Say) -> None:
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        if options.quick:
            took = [first_chart(Path(sys.executable), place / "q")]
            report.figure("qs load model.onnx, to its page", "s", took)
            report.goal("qs load model.onnx, to its page", "<=", GOAL_S, took, "s")
            return
        wheels = place / "wheels"
        wheels.mkdir()
        say("fetching wheels, outside the clock")
        get = (sys.executable, "-m", "pip", "download", "-q", "-d", wheels)
        run_in(place, *get, ROOT, "setuptools>=64", "wheel")
        parts: dict[str, list[float]] = {"install": [], "load": [], "both": []}
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            home = place / f"venv{number}"
            python, install_s = installed(wheels, home)
            load_s = first_chart(python, place / f"empty{number}")
            for name, value in zip(parts, (install_s, load_s, install_s + load_s)):
                parts[name].append(value)
            shutil.rmtree(home)
        report.figure("fresh environment and pip install, no download", "s", parts["install"])
        report.figure("qs load model.onnx, to its page", "s", parts["load"])
        report.goal("pip install to the first chart", "<=", GOAL_S, parts["both"], "s")


if __name__ == "__main__":
    command("newcomer", __doc__, measure, rounds=3)
