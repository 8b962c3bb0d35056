"""uv makes environments and fills them. Only its command lines and its variables are known here.

uv does not read pip's configuration, so what pip is told about where packages come from (variables,
pip.conf) is handed on in uv's words, unless uv is told something itself. docs/decisions says why uv
alone.
"""

from __future__ import annotations

import configparser
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from qs.base.errors import UserError

NAME = "uv"
# pip's settings of where packages come from -> uv's variable, and what parts several values there.
_INDEX_SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
}
_NO_INDEX = "no-index"
_UV_INDEX_VARIABLES = (
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_CONFIG_FILE",
)
_GLOBAL_PIP_FILES = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf")
_PIP_SECTIONS = ("global", "install")

# What would send an installation elsewhere than into the new environment, or let it find packages
# outside.
_MISLEADING = (
    "PYTHONPATH",
    "PYTHONHOME",
    "CONDA_PREFIX",
    "UV_PYTHON",
    "UV_TARGET",
    "UV_PREFIX",
    "UV_SYSTEM_PYTHON",
    "UV_PROJECT_ENVIRONMENT",
)


def python_of(folder: Path) -> Path:
    return folder / "bin" / "python"


def uv_program() -> str:
    """The file that is uv: of the package installed beside us, else on PATH. UserError where it is
    neither.
    """
    try:
        from uv import find_uv_bin

        return os.fspath(find_uv_bin())
    except (ImportError, FileNotFoundError):
        program = shutil.which(NAME)
    if program is None:
        raise UserError(
            "uv, which makes the backend's environment, is missing: pip install uv, "
            "or run with --env current"
        )
    return program


def create(program: str, folder: Path) -> tuple[str, ...]:
    """The command that makes an empty environment in `folder`, for our own Python version."""
    return (program, "venv", "--no-project", "--python", sys.executable, str(folder))


def install(program: str, folder: Path, *arguments: str) -> tuple[str, ...]:
    """The command that installs into it. `arguments` are those of `pip install`."""
    fixed = ("pip", "install", "--python", str(python_of(folder)))
    return (program, *fixed, *index_options(), *arguments)


def environment_variables(folder: Path) -> dict[str, str]:
    """What uv runs with: our variables without those that would mislead it, and pip's settings."""
    kept = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    own = {"UV_NO_PROGRESS": "1", "PYTHONNOUSERSITE": "1"}
    return kept | index_variables() | activated(folder) | own


def activated(folder: Path, variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What `activate` sets, so that programs that were installed there are found."""
    path = os.pathsep.join(filter(None, [str(folder / "bin"), variables.get("PATH", os.defpath)]))
    return {"VIRTUAL_ENV": str(folder), "PATH": path}


def index_variables(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """uv's variables that say what pip's configuration says of indexes; none of those that uv has.

    With several indexes pip takes the best version of all, where uv stops at the first index that
    has the package: uv is told to do as pip does.
    """
    found: dict[str, str] = {}
    for name, value in _pip_settings(variables).items():
        variable, separator = _INDEX_SETTINGS.get(name, ("", ""))
        if variable and not variables.get(variable):
            found[variable] = separator.join(filter(_is_there, value.split()))
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = variables.get("UV_INDEX_STRATEGY") or "unsafe-best-match"
    return found


def _is_there(place: str) -> bool:
    """Whether an index, a folder or a file can be handed on. pip warns of a folder that is missing,
    where uv would end.
    """
    return not place.startswith("/") or Path(place).exists()


def index_options(variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """What has no variable in uv: to take packages from no index at all."""
    value = _pip_settings(variables).get(_NO_INDEX, "0")
    return () if value.strip().lower() in ("0", "false", "no", "off") else (f"--{_NO_INDEX}",)


def _pip_settings(variables: Mapping[str, str]) -> dict[str, str]:
    """pip's settings that matter here, by name; empty where uv is told about indexes itself."""
    if any(variables.get(name) for name in _UV_INDEX_VARIABLES):
        return {}
    return dict(_configured(variables))  # of several values the last is the strongest


def _configured(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for file in _pip_files(variables):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(file, encoding="utf-8")
        except (OSError, ValueError, configparser.Error):
            continue  # pip would complain; the file is not ours
        for section in filter(parser.has_section, _PIP_SECTIONS):
            for name, value in parser.items(section):
                yield from _known(name, value)
    for name, value in variables.items():
        if name.startswith("PIP_"):
            yield from _known(name.removeprefix("PIP_").lower(), value)


def _known(name: str, value: str | None) -> Iterator[tuple[str, str]]:
    name = name.replace("_", "-")
    if (name in _INDEX_SETTINGS or name == _NO_INDEX) and value and value.strip():
        yield name, value


def _pip_files(variables: Mapping[str, str]) -> list[Path]:
    """Where pip looks for its configuration, the strongest last."""
    home = Path.home()
    settings = variables.get("XDG_CONFIG_HOME") or home / ".config"
    named = variables.get("PIP_CONFIG_FILE")
    if named == os.devnull:  # pip's word for: read none
        return []
    own = [
        home / ".pip" / "pip.conf",
        Path(settings, "pip", "pip.conf"),
        Path(sys.prefix, "pip.conf"),
    ]
    return [*map(Path, _GLOBAL_PIP_FILES), *own, *([Path(named)] if named else [])]
