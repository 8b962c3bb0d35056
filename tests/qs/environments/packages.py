"""Packages made on the spot, so that real installers run without a network: wheels, and one whose
build can be held up.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

BACKEND = '''
"""A build backend that notes each build and, where it is told to, waits for the file `go`."""
import os, time, zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
METADATA = "Metadata-Version: 2.1\\nName: held\\nVersion: 1.0\\n"
WHEEL = "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with open(os.environ["HELD_BUILDS"], "a") as builds:
        builds.write("build\\n")
    limit = time.monotonic() + 60
    go = os.environ.get("HELD_GO")
    while go and not os.path.exists(go) and time.monotonic() < limit:
        time.sleep(0.05)
    name = "held-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("held.py", "")
        for file, content in (("METADATA", METADATA), ("WHEEL", WHEEL), ("RECORD", "")):
            wheel.writestr("held-1.0.dist-info/" + file, content)
    return name
'''
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "held"
version = "1.0"
"""


def write_wheel(folder: Path, name: str, version: str, *about: str) -> Path:
    """A wheel with one module that knows its version. `about`: further lines of METADATA, such as
    "Requires-Dist: six".
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *about, ""]
        ),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)
        wheel.writestr(
            f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
        )
    return path


def write_held(folder: Path) -> None:
    """A package's source whose build can be held up."""
    folder.mkdir(parents=True)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PYPROJECT)


def repack(name: str, folder: Path) -> Path:
    """The wheel of a package that is installed here."""
    installed = metadata.distribution(name)
    files = [
        file for file in installed.files or () if ".." not in file.parts and file.suffix != ".pyc"
    ]
    info = next(file.parent for file in files if file.name == "WHEEL")
    about = (Path(installed.locate_file(info)) / "WHEEL").read_text()
    tag = next(
        line.partition(":")[2].strip() for line in about.splitlines() if line.startswith("Tag:")
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{installed.version}-{tag}.whl"
    kept = [file for file in files if file.name != "RECORD"]
    with zipfile.ZipFile(path, "w") as wheel:
        for file in kept:
            wheel.write(file.locate(), str(file))
        wheel.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in kept))
    return path


class Vendor:
    """A backend's folder whose requirements.txt takes packages from a folder beside it only."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "ACME"
        self.folder.mkdir(parents=True)
        self.wheels = self.folder / "wheels"
        self.said: list[str] = []
        for name, version in (("tiny", "1.0"), ("tiny", "2.0"), ("numpy", "99.0")):
            write_wheel(self.wheels, name, version)

    def asks(self, *lines: str) -> Path:
        path = self.folder / "requirements.txt"
        path.write_text("\n".join(["--no-index", "--find-links ./wheels", *lines, ""]))
        return path

    def environment(self, mode: str = "auto", **more):
        from qs.environments import interpreter_for

        self.said.clear()
        return interpreter_for(self.folder, mode, self.said.append, **more)

    def start(self, mode: str = "auto") -> subprocess.Popen[str]:
        """The same in a process of its own; prints what is said, then `created` or `reused`."""
        code = (
            "import sys; from pathlib import Path; from qs.environments import interpreter_for\n"
            "say = lambda line: print(line, flush=True)\n"
            f"found = interpreter_for(Path({str(self.folder)!r}), {mode!r}, say)\n"
            "print('created' if found.created else 'reused', found.python)"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
