"""The two ways to make an environment and fill it: uv, and venv with pip. Only their command lines
are known here.

uv does not read pip's configuration. Where pip is told of an index of its own and uv is not, pip is
taken, so that packages come from where the user wants them.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from qs.base.errors import UserError

_PIP_SETTINGS = re.compile(
    r"^\s*(extra-)?(index-url|find-links|no-index|constraint)\b", re.MULTILINE
)
_PIP_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_CONSTRAINT",
)
_UV_VARIABLES = (
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_CONFIG_FILE",
)
_PIP_WITH_PYTHON = (22, 3)  # from here on pip installs into an environment that it is not part of
_GLOBAL_PIP_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf")

# What would send an installation elsewhere than into the new environment, or make it find packages
# outside of it.
_MISLEADING = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "PIP_PYTHON",
    "PIP_REQUIREMENT",
    "PIP_DRY_RUN",
    "PIP_REQUIRE_VIRTUALENV",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_TARGET",
    "UV_PREFIX",
    "UV_SYSTEM_PYTHON",
)


@dataclass(frozen=True)
class Installer:
    """`create` makes an environment's folder, `install` + arguments installs into it; both as
    command lines.
    """

    name: str
    why: str
    create: tuple[str, ...]
    install: tuple[str, ...]


def python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def choose(folder: Path) -> Installer:
    """The installer for an environment in `folder`. UserError where there is none on this machine."""
    program = uv_program()
    configured = None if program is None else pip_configuration()
    if program is not None and (configured is None or pip_version() is None):
        return _uv(program, folder)
    return _pip(
        folder,
        f"{configured} names an index, which uv does not read" if configured else "uv is not there",
    )


def uv_program() -> str | None:
    """The file that is uv: on PATH, or of the package that is installed beside us."""
    on_path = shutil.which("uv")
    return on_path or _uv_package()


def _uv_package() -> str | None:
    try:
        files = metadata.distribution("uv").files or []
    except metadata.PackageNotFoundError:
        return None
    programs = (
        os.path.realpath(file.locate())
        for file in files
        if file.name == "uv" and file.parent.name == "bin"
    )
    return next(filter(os.path.isfile, programs), None)


def pip_version() -> tuple[int, ...] | None:
    """Of the pip beside us; None where there is none."""
    try:
        text = metadata.version("pip")
    except metadata.PackageNotFoundError:
        return None
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def pip_configuration() -> str | None:
    """The variable or file that names an index for pip, where uv has none of its own."""
    if any(os.environ.get(name) for name in _UV_VARIABLES):
        return None
    for name in _PIP_VARIABLES:
        if os.environ.get(name):
            return name
    for file in _pip_files():
        try:
            if _PIP_SETTINGS.search(file.read_text(errors="replace")):
                return str(file)
        except OSError:
            continue
    return None


def environment_variables(folder: Path) -> dict[str, str]:
    """What an installer runs with: ours, without what would mislead it."""
    kept = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    quieter = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_NO_PROGRESS": "1"}
    return kept | activated(folder) | quieter | {"PYTHONNOUSERSITE": "1"}


def activated(folder: Path, variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What `activate` sets, so that programs that were installed there are found."""
    path = os.pathsep.join(filter(None, [str(folder / "bin"), variables.get("PATH", os.defpath)]))
    return {"VIRTUAL_ENV": str(folder), "PATH": path}


def _uv(program: str, folder: Path) -> Installer:
    create = (program, "venv", "--python", sys.executable, str(folder))
    install = (program, "pip", "install", "--python", str(python_of(folder)))
    return Installer("uv", "uv is there", create, install)


def _pip(folder: Path, why: str) -> Installer:
    venv = (sys.executable, "-I", "-m", "venv")
    options = ("--no-input", "--no-compile", "--progress-bar", "off")
    python = str(python_of(folder))
    version = pip_version()
    if version is not None and version >= _PIP_WITH_PYTHON:
        # Our own pip fills it: a venv without a pip of its own is made in a tenth of the time. pip
        # is run by its path, since -m looks in the working directory first, which is the vendor's
        # and may hold a file called like a standard module.
        spec = util.find_spec("pip")
        assert spec is not None and spec.submodule_search_locations
        package = next(iter(spec.submodule_search_locations))
        install = (sys.executable, package, "--python", python, "install", *options)
        return Installer("pip", why, (*venv, "--without-pip", str(folder)), install)
    if util.find_spec("ensurepip") is None:
        raise UserError(
            "neither uv nor pip is here to make the backend's environment: install one of them, or run with --env current"
        )
    return Installer(
        "pip", why, (*venv, str(folder)), (python, "-I", "-m", "pip", "install", *options)
    )


def _pip_files() -> list[Path]:
    """Where pip looks for its configuration."""
    home = Path.home()
    settings = os.environ.get("XDG_CONFIG_HOME") or home / ".config"
    named = os.environ.get("PIP_CONFIG_FILE")
    own = [
        home / ".pip" / "pip.conf",
        Path(settings, "pip", "pip.conf"),
        Path(sys.prefix, "pip.conf"),
    ]
    return [*map(Path, _GLOBAL_PIP_FILES), *own, *([Path(named)] if named else [])]
