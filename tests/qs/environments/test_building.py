"""Environments made by the real installer, from packages beside the requirements: no network is
used.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from qs import environments
from qs.base.errors import UserError
from qs.environments import store
from qs.environments.running import Stopped
from tests.qs.environments.packages import write_held, write_wheel


def run_under(environment, code):
    return subprocess.check_output([environment.python, "-c", code], text=True).strip()


def folders(cache: Path) -> list[str]:
    return [path.name for path in (cache / "environments").iterdir() if path.is_dir()]


def until(condition, limit_s=30.0):
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.05)


@pytest.fixture
def held(vendor, tmp_path, monkeypatch):
    """A requirement whose build notes itself in `builds` and waits for the file `go`."""
    write_held(vendor.folder / "held")
    vendor.asks("./held")
    monkeypatch.setenv("HELD_BUILDS", str(tmp_path / "builds"))
    monkeypatch.setenv("HELD_GO", str(tmp_path / "go"))
    return tmp_path


def test_an_environment_is_built_recorded_and_used_again(vendor, cache):
    source = vendor.asks("tiny==1.0")
    made = vendor.environment()
    assert made.created
    assert made.why.startswith(
        "the current environment does not satisfy requirements.txt: cannot tell for"
    )
    assert (
        run_under(made, "import sys, tiny; print(sys.prefix, tiny.__version__)")
        == f"{cache}/environments/{made.key} 1.0"
    )
    # nothing of ours is in it, and nothing of it is in ours
    assert run_under(
        made,
        "import importlib.util as u; print([u.find_spec(n) for n in ('click', 'pydantic', 'pip')])",
    ) == str([None] * 3)
    assert subprocess.call([sys.executable, "-c", "import tiny"], stderr=subprocess.DEVNULL) != 0
    assert any("is added" in line for line in vendor.said)  # numpy, which the file does not name
    assert made.packages == {"numpy": "99.0", "tiny": "1.0"}
    assert made.variables["VIRTUAL_ENV"] == f"{cache}/environments/{made.key}"

    again = vendor.environment()
    assert (again.python, again.key, again.created, again.packages) == (
        made.python,
        made.key,
        False,
        made.packages,
    )
    assert any("used again" in line for line in vendor.said)

    (found,) = environments.stored()
    assert found.key == made.key
    assert found.built.source == str(source)
    assert found.built.requirements == ["--no-index", "--find-links ./wheels", "tiny==1.0"]
    assert found.built.python == sys.version.split()[0]
    assert found.built.tool == "uv"
    assert found.built.size_bytes > 1000

    vendor.asks("tiny==2.0")
    other = vendor.environment()
    assert other.key != made.key
    assert run_under(other, "import tiny; print(tiny.__version__)") == "2.0"
    assert run_under(made, "import tiny; print(tiny.__version__)") == "1.0"


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (None, "auto", "the backend asks for nothing: requirements.txt is not there"),
        ("# nothing\n", "auto", "the backend asks for nothing: requirements.txt is empty"),
        ("numpy>=1\n", "auto", "the current environment satisfies requirements.txt"),
        ("absent==1\n", "current", "the current environment was asked for"),
    ],
)
def test_the_current_environment_is_used(content, mode, why, vendor, cache):
    if content is not None:
        (vendor.folder / "requirements.txt").write_text(content)
    found = vendor.environment(mode)
    assert (found.python, found.key, found.created, found.why) == (sys.executable, None, False, why)
    assert not (cache / "environments").exists()


def test_new_makes_one_where_the_current_would_do(vendor):
    vendor.asks("numpy")
    made = vendor.environment("new")
    assert made.created
    assert made.why == "an environment of its own was asked for"
    assert not any("is added" in line for line in vendor.said)
    assert made.packages == {"numpy": "99.0"}


def test_an_older_numpy_is_left_to_the_vendor_and_said(vendor):
    write_wheel(vendor.wheels, "numpy", "1.19")
    write_wheel(vendor.wheels, "wants", "1.0", "Requires-Dist: numpy<1.20")
    vendor.asks("wants")
    assert vendor.environment().packages["numpy"] == "1.19"
    assert any("has numpy 1.19" in line for line in vendor.said)


def test_a_failing_install_shows_the_installers_last_lines_and_leaves_nothing(vendor, cache):
    source = vendor.asks("tiny==3.0")
    with pytest.raises(
        UserError,
        match=r"(?s)could not install it \(exit status \d+\); its last lines:\n.*tiny==3\.0",
    ) as caught:
        vendor.environment()
    assert str(caught.value).startswith(f"{source}: ")
    assert folders(cache) == []
    assert environments.stored() == []
    vendor.asks("tiny==2.0")
    assert vendor.environment().created


def test_neither_pythonpath_nor_the_vendors_modules_mislead_an_installer(
    vendor, tmp_path, monkeypatch
):
    wheel = write_wheel(tmp_path / "other", "tiny", "1.0")
    shutil.unpack_archive(wheel, tmp_path / "path", "zip")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
    for name in ("json", "logging", "pip", "venv"):
        (vendor.folder / f"{name}.py").write_text("raise RuntimeError('the wrong one')")
    vendor.asks("tiny==1.0")
    made = vendor.environment("new")
    found = subprocess.check_output(
        [made.python, "-I", "-c", "import tiny; print(tiny.__file__)"], text=True
    )
    assert Path(found).is_relative_to(made.variables["VIRTUAL_ENV"])


def test_one_whose_interpreter_is_gone_is_built_again(vendor):
    vendor.asks("tiny==1.0")
    python = Path(vendor.environment().python)
    python.unlink()
    python.symlink_to("/no/such/python")
    made = vendor.environment()
    assert made.created
    assert run_under(made, "print(1)") == "1"


@pytest.mark.parametrize("record", [None, "", "{}", '{"key": "x"}', "[]"])
def test_one_without_a_whole_record_is_no_environment(record, vendor, cache):
    path = cache / "environments" / "0123456789abcdef"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").symlink_to(sys.executable)
    if record is not None:
        (path / store.RECORD).write_text(record)
    assert store.ready("0123456789abcdef") is None
    assert [each.built for each in environments.stored()] == [None]


def test_two_processes_that_need_the_same_build_it_once(vendor, held):
    both = [vendor.start(), vendor.start()]
    seconds = ["".join(each.stdout.readline() for _ in range(2)).splitlines()[1] for each in both]
    assert sorted("waiting" in line for line in seconds) == [False, True], seconds
    (held / "go").touch()
    answers = [started.communicate(timeout=120)[0].splitlines() for started in both]
    assert sorted(lines[-1].split()[0] for lines in answers) == ["created", "reused"], answers
    assert len({lines[-1].split()[1] for lines in answers}) == 1
    assert (held / "builds").read_text().count("build") == 1
    assert len(environments.stored()) == 1


def test_a_killed_build_is_waited_for_and_built_again(vendor, held, cache, monkeypatch):
    """Its installer still writes into the folder when the builder is gone: the lock is the
    installer's as well.
    """
    monkeypatch.setenv("UV_NO_CACHE", "1")  # the second build would find what the first one built
    first = vendor.start()
    until((held / "builds").exists)
    first.kill()
    first.wait()
    second = vendor.start()
    assert "does not satisfy" in second.stdout.readline()
    assert "another process is building it; waiting" in second.stdout.readline()
    assert [each.built for each in environments.stored()] == [None]
    with pytest.raises(UserError, match="is being built by another process"):
        environments.remove(environments.stored()[0])
    (held / "go").touch()
    said = second.communicate(timeout=120)[0].splitlines()
    first.stdout.close()
    assert said[-1].startswith("created ")
    assert (held / "builds").read_text().count("build") == 2
    assert (
        subprocess.check_output(
            [said[-1].split()[1], "-c", "import held; print('held')"], text=True
        )
        == "held\n"
    )


def test_a_build_that_is_stopped_from_another_thread_leaves_nothing(vendor, held, cache):
    stop = threading.Event()

    def end():
        until((held / "builds").exists)
        stop.set()

    helper = threading.Thread(target=end)
    helper.start()
    with pytest.raises(Stopped):
        vendor.environment(stop=stop)
    helper.join()
    assert folders(cache) == []


def test_an_interrupt_ends_a_build_and_leaves_nothing(vendor, held, cache):
    started = vendor.start()
    until((held / "builds").exists)
    started.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in started.communicate(timeout=60)[0]
    assert folders(cache) == []


def test_one_that_is_in_use_is_not_removed(vendor, cache):
    vendor.asks("tiny==1.0")
    made = vendor.environment()
    process = subprocess.Popen([made.python, "-c", "input()"], stdin=subprocess.PIPE)
    with pytest.raises(UserError, match=f"is used by process {process.pid}"):
        environments.remove(environments.stored()[0])
    assert run_under(made, "print(1)") == "1"
    process.communicate(b"\n")
    environments.remove(environments.stored()[0])
    assert folders(cache) == []


def test_our_minimum_of_numpy_is_the_packages_own():
    from qs.environments.building import NUMPY

    wanted = (Path(__file__).parents[3] / "setup.cfg").read_text().splitlines()
    assert f"    {NUMPY}" in wanted


@pytest.mark.slow
def test_packages_from_the_index(vendor):
    """The one test that fetches: a small package, by name, with numpy beside it."""
    (vendor.folder / "requirements.txt").write_text("six==1.15.0  # an old one\n")
    try:
        made = vendor.environment()
    except UserError as error:
        if "could not install it" not in str(error):
            raise
        pytest.skip(f"no index can be reached: {error}")
    assert run_under(made, "import numpy, six; print(six.__version__)") == "1.15.0"
    assert (
        made.why
        == "the current environment does not satisfy requirements.txt: six==1.15.0: not installed"
    )


def qs(*arguments):
    root = Path(__file__).parents[3]
    command = [sys.executable, "-m", "qs", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=root, timeout=120, check=False
    )


@pytest.mark.slow
def test_the_command_line(vendor, tmp_path):
    """build prints the interpreter, list shows what is there, remove takes the first digits of a
    key.
    """
    assert (qs("env", "list").returncode, json.loads(qs("env", "list", "--json").stdout)) == (0, [])
    (tmp_path / "backends").mkdir()
    vendor.folder = vendor.folder.rename(tmp_path / "backends" / "ACME")
    vendor.asks("tiny==1.0")
    build = ("env", "build", "--hardware-type", "acme", "--workspace", tmp_path)
    built = qs(*build)
    assert built.returncode == 0, built.stderr
    assert Path(built.stdout.strip()).is_file()
    assert qs(*build).stdout == built.stdout
    (about,) = json.loads(qs("env", "list", "--json").stdout)
    assert about["finished"]
    assert about["packages"] == {"numpy": "99.0", "tiny": "1.0"}
    shown = qs("env", "list").stdout
    assert about["key"] in shown
    assert str(vendor.folder / "requirements.txt") in shown

    for wrong in (["--all", about["key"]], [], ["zz"], [""]):
        assert qs("env", "remove", *wrong).returncode == 2
    removed = qs("env", "remove", about["key"][:5])
    assert (removed.returncode, removed.stdout, removed.stderr) == (
        0,
        "",
        f"removed {about['key']}\n",
    )
    assert qs("env", "remove", "--all").returncode == 0
    vendor.asks("tiny==9.0")
    failed = qs(*build)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr
    assert "tiny==9.0" in failed.stderr
