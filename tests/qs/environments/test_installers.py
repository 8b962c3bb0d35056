"""What uv is told: its command lines, and pip's configuration in its words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.environments import installers


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where neither pip nor uv is configured; gives its home."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "XDG_", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(installers, "_GLOBAL_PIP_FILES", ())
    return tmp_path


def configure(home: Path, content: str) -> None:
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(content)


def test_the_uv_beside_us_is_taken_else_one_on_the_path(machine, monkeypatch):
    assert Path(installers.uv_program()).is_relative_to(Path(sys.executable).parent)
    monkeypatch.setitem(sys.modules, "uv", None)
    (machine / "bin").mkdir()
    monkeypatch.setenv("PATH", str(machine / "bin"))
    with pytest.raises(UserError, match="uv.*is missing: pip install uv, or run with --env curr"):
        installers.uv_program()
    shutil.copy("/bin/true", machine / "bin" / "uv")
    assert installers.uv_program() == str(machine / "bin" / "uv")


def test_nothing_configured_is_nothing_said(machine):
    assert installers.index_variables() == {}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PIP_INDEX_URL", "https://a.org", {"UV_DEFAULT_INDEX": "https://a.org"}),
        ("PIP_FIND_LINKS", "/usr /bin", {"UV_FIND_LINKS": "/usr,/bin"}),
        ("PIP_FIND_LINKS", "/no/such/folder /bin", {"UV_FIND_LINKS": "/bin"}),
        ("PIP_CONSTRAINT", "a.txt b.txt", {"UV_CONSTRAINT": "a.txt b.txt"}),
        ("PIP_CERT", "/bin/sh", {"SSL_CERT_FILE": "/bin/sh"}),
        ("PIP_TRUSTED_HOST", "a.org", {"UV_INSECURE_HOST": "a.org"}),
        ("PIP_TIMEOUT", "5", {}),
        (
            "PIP_EXTRA_INDEX_URL",
            "https://a.org\nhttps://b.org",
            {
                "UV_INDEX": "https://a.org https://b.org",
                "UV_INDEX_STRATEGY": "unsafe-best-match",
            },
        ),
    ],
)
def test_pips_variables_in_uvs_words(name, value, expected, machine):
    assert installers.index_variables({name: value}) == expected


@pytest.mark.parametrize(
    ("value", "options"),
    [("1", ("--no-index",)), ("true", ("--no-index",)), ("false", ()), ("", ())],
)
def test_no_index_is_an_option(value, options, machine):
    assert installers.index_options({"PIP_NO_INDEX": value}) == options
    assert installers.index_options({"PIP_NO_INDEX": value, "UV_INDEX": "https://a.org"}) == ()


def test_pips_files_count_too_and_variables_win(machine):
    configure(
        machine, "[global]\nindex-url = https://a.org\n[install]\nfind_links =\n    /usr\n    /bin"
    )
    found = {"UV_DEFAULT_INDEX": "https://a.org", "UV_FIND_LINKS": "/usr,/bin"}
    assert installers.index_variables({}) == found
    variables = {"PIP_INDEX_URL": "https://b.org"}
    assert installers.index_variables(variables) == found | {"UV_DEFAULT_INDEX": "https://b.org"}
    assert installers.index_variables({"PIP_CONFIG_FILE": os.devnull}) == {}


def test_what_uv_is_told_itself_is_all_it_hears(machine):
    configure(machine, "[global]\nindex-url = https://a.org\n")
    assert installers.index_variables({"UV_DEFAULT_INDEX": "https://b.org"}) == {}


@pytest.mark.parametrize("content", ["no section", "[global\n", "[global]\nindex-url\n", "\xff"])
def test_a_file_that_pip_could_not_read_either_is_passed_over(content, machine):
    configure(machine, content)
    assert installers.index_variables({}) == {}


def test_what_would_mislead_uv_is_kept_from_it(tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "UV_PYTHON", "CONDA_PREFIX", "UV_DEFAULT_INDEX"):
        monkeypatch.setenv(name, "x")
    found = installers.environment_variables(tmp_path)
    assert not {"PYTHONPATH", "UV_PYTHON", "CONDA_PREFIX"} & set(found)
    assert found["UV_DEFAULT_INDEX"] == "x"  # where packages come from is the user's to say
    assert found["VIRTUAL_ENV"] == str(tmp_path)
    assert found["PATH"].startswith(f"{tmp_path}/bin{os.pathsep}")


def test_uv_takes_the_options_it_is_given(tmp_path):
    """`--help` after the options: a wrong one would be refused first."""
    program = installers.uv_program()
    subprocess.run(installers.create(program, tmp_path / "e"), check=True, capture_output=True)
    command = installers.install(program, tmp_path / "e", "--help")
    subprocess.run(command, check=True, capture_output=True)


def test_packages_come_from_where_pip_takes_them(vendor, machine, monkeypatch):
    """A pip.conf is all that names the folder with the packages."""
    configure(machine, f"[global]\nno-index = true\nfind-links = {vendor.wheels}\n")
    (vendor.folder / "requirements.txt").write_text("tiny==2.0\n")
    made = vendor.environment()
    assert made.packages == {"numpy": "99.0", "tiny": "2.0"}
