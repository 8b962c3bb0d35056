"""Which installer is taken, and what it is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from qs.base.errors import UserError
from qs.environments import installers


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without uv, and without configuration of either; `machine("uv")` puts an uv on its
    PATH.
    """
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(installers, "_uv_package", lambda: None)
    monkeypatch.setattr(installers, "_GLOBAL_PIP_FILES", ())

    def put(program):
        (tmp_path / "bin").mkdir()
        shutil.copy("/bin/true", tmp_path / "bin" / program)

    return put


def test_pip_where_there_is_no_uv(machine, tmp_path):
    tool = installers.choose(tmp_path / "env")
    assert (tool.name, tool.why) == ("pip", "uv is not there")
    assert tool.create == (
        sys.executable,
        "-I",
        "-m",
        "venv",
        "--without-pip",
        str(tmp_path / "env"),
    )


def test_uv_where_it_is_on_the_path(machine, tmp_path):
    machine("uv")
    tool = installers.choose(tmp_path / "env")
    assert tool.name == "uv"
    assert tool.create[0] == tool.install[0] == str(tmp_path / "bin" / "uv")
    assert tool.install[-2:] == ("--python", str(tmp_path / "env" / "bin" / "python"))


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"])
def test_pip_where_only_pip_knows_the_index(name, machine, tmp_path, monkeypatch):
    machine("uv")
    monkeypatch.setenv(name, "1")
    tool = installers.choose(tmp_path / "env")
    assert (tool.name, tool.why) == ("pip", f"{name} names an index, which uv does not read")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://example.org/simple")
    assert installers.choose(tmp_path / "env").name == "uv"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("[global]\nindex-url = https://example.org\n", "pip"),
        ("[install]\nno-index = true", "pip"),
        ("[global]\ntimeout = 5\n", "uv"),
    ],
)
def test_pip_s_own_file_counts_as_well(content, name, machine, tmp_path):
    machine("uv")
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(content)
    assert installers.choose(tmp_path / "env").name == name


def test_uv_where_there_is_no_pip_whatever_is_configured(machine, tmp_path, monkeypatch):
    machine("uv")
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org")
    monkeypatch.setattr(installers, "pip_version", lambda: None)
    assert installers.choose(tmp_path / "env").name == "uv"


@pytest.mark.parametrize("version", [None, (21, 0)])
def test_the_environments_own_pip_where_ours_cannot_fill_it(
    version, machine, tmp_path, monkeypatch
):
    monkeypatch.setattr(installers, "pip_version", lambda: version)
    tool = installers.choose(tmp_path / "env")
    assert "--without-pip" not in tool.create
    assert tool.install[0] == str(tmp_path / "env" / "bin" / "python")


def test_neither_uv_nor_pip_is_the_users_to_mend(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(installers, "pip_version", lambda: None)
    monkeypatch.setattr(installers.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="neither uv nor pip"):
        installers.choose(tmp_path / "env")


def test_what_would_mislead_an_installer_is_kept_from_it(tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "PIP_TARGET", "PIP_USER", "UV_PYTHON", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "x")
    found = installers.environment_variables(tmp_path)
    assert not {"PYTHONPATH", "PIP_TARGET", "PIP_USER", "UV_PYTHON"} & set(found)
    assert found["PIP_INDEX_URL"] == "x"  # where packages come from is the user's to say
    assert found["VIRTUAL_ENV"] == str(tmp_path)
    assert found["PATH"].startswith(f"{tmp_path}/bin{os.pathsep}")


def test_the_installers_take_the_options_they_are_given(tmp_path):
    """`--help` after the options: a wrong one would be refused first."""
    tools = [installers._pip(tmp_path / "env", "")]
    program = installers.uv_program()
    if program is not None:
        tools.append(installers._uv(program, tmp_path / "env"))
    for tool in tools:
        subprocess.run(tool.create, check=True, capture_output=True)
        subprocess.run([*tool.install, "--help"], check=True, capture_output=True)
        shutil.rmtree(tmp_path / "env")
