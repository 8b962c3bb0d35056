"""Builds an environment once, however many processes ask for it at the same time, and leaves
nothing behind when a build fails.

numpy is the one package that the plug-in contract needs; it is added if the vendor does not ask for
it.
"""

from __future__ import annotations

import errno
import json
import platform
import re
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from qs.base.addresses import public
from qs.base.errors import UserError
from qs.environments import installers, store
from qs.environments.identity import Identity, abi
from qs.environments.requirements_file import Line
from qs.environments.running import InstallFailed, run

NUMPY = "numpy>=1.26"  # as in setup.cfg
Say = Callable[[str], None]

# Of all that uv prints, what tells a person how far it is.
_PROGRESS = ("Downloading ", "Building ", "Resolved ", "Prepared ", "Installed ")
_LIST = """
import importlib.metadata, json
about = [each.metadata for each in importlib.metadata.distributions()]
found = {each.get("Name"): each.get("Version") for each in about}
print(json.dumps({name: found[name] for name in sorted(filter(None, found), key=str.casefold)}))
"""
_LIST_LIMIT_S = 120.0


def ensure(
    identity: Identity,
    source: Path,
    lines: Sequence[Line],
    say: Say,
    stop: threading.Event | None = None,
) -> tuple[store.Stored, bool]:
    """The environment of that identity, and whether it was built now.

    `source` is the requirements.txt; it need not exist if `lines` is empty. Setting `stop` from
    another thread ends a build with running.Stopped. Raises UserError with uv's last lines if it
    fails.
    """
    found = store.ready(identity.key)
    if found is None:
        with store.locked(
            identity.key,
            lambda: say(f"environment {identity.key}: another process is building it; waiting"),
            stop,
        ) as lock:
            found = store.ready(identity.key)  # the one that was waited for may have built it
            if found is None:
                return _build(identity, source, lines, say, stop, lock), True
    store.used(found)
    return found, False


def _build(
    identity: Identity,
    source: Path,
    lines: Sequence[Line],
    say: Say,
    stop: threading.Event | None,
    lock: int,
) -> store.Stored:
    path = store.folder() / identity.key
    store.clear(path)  # what a build left that was cut off, or whose interpreter is gone
    program = installers.uv_program()
    say(
        f"environment {identity.key}: making it with {installers.NAME} in {path}, "
        "for this and later runs"
    )

    def step(command: Sequence[str]) -> None:
        variables = installers.environment_variables(path)
        run(command, cwd=source.parent, env=variables, heard=heard, stop=stop, keep_open=(lock,))

    def heard(line: str) -> None:
        if line.lstrip().startswith(_PROGRESS):
            say(f"environment: {public(line.strip())}")

    begin = time.perf_counter()
    try:
        step(installers.create(program, path))
        packages = _fill(path, program, source, lines, step, say)
        built = store.Built(
            key=identity.key,
            source=str(source),
            requirements=[line.text for line in lines],
            requirements_sha256=identity.requirements_sha256,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            python=platform.python_version(),
            abi=abi(),
            tool=installers.NAME,
            seconds=round(time.perf_counter() - begin, 3),
            size_bytes=store.size_bytes(path),
            packages=packages,
        )
        store.write_record(path, built)
        store.close_to_others(path)
    except BaseException as failure:
        store.clear(path)
        if isinstance(failure, InstallFailed):
            raise UserError(_failed(source, failure)) from None
        if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space left for an environment in {path.parent}; free some or set QS_CACHE"
            ) from failure
        raise
    say(
        f"environment {identity.key}: ready after {built.seconds:.1f} s, "
        f"{built.size_bytes / 2**20:.0f} MiB"
    )
    return store.look(identity.key)


def _fill(
    path: Path,
    program: str,
    source: Path,
    lines: Sequence[Line],
    step: Callable[[Sequence[str]], None],
    say: Say,
) -> dict[str, str]:
    """Install what the file asks for, and numpy; return name -> version of all packages."""
    asked = ("-r", str(source)) if lines else ()
    named = any(re.match(r"numpy\b", line.expanded, re.IGNORECASE) for line in lines)
    # A bare name beside the file: numpy comes in the version that the file, or one of its packages,
    # restricts it to.
    hashed = any("--hash" in line.expanded or "--require-hashes" in line.expanded for line in lines)
    if not named:
        say(
            f"environment: {NUMPY} is added: the plug-in contract needs it and {source.name} "
            "does not name it"
        )
    if asked or not hashed:
        step(installers.install(program, path, *asked, *(() if hashed else ("numpy",))))
    packages = _packages(path)
    if "numpy" not in packages:  # with hashes, uv takes nothing without one
        step(installers.install(program, path, NUMPY))
        packages = _packages(path)
    version = packages.get("numpy", "0")
    if Version(version) not in Requirement(NUMPY).specifier:
        say(
            f"warning: the environment has numpy {version}, as {source.name} asks; "
            f"the plug-in contract is tested with {NUMPY}"
        )
    return packages


def _packages(path: Path) -> dict[str, str]:
    """name -> version of what is installed in an environment, as its own interpreter sees it."""
    command = [str(installers.python_of(path)), "-I", "-c", _LIST]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_LIST_LIMIT_S, check=False
    )
    if done.returncode:
        raise InstallFailed(
            f"its interpreter ends with status {done.returncode}", done.stderr.splitlines()
        )
    return json.loads(done.stdout)


def _failed(source: Path, failure: InstallFailed) -> str:
    last = "".join(f"\n  {public(line)}" for line in failure.tail)
    colon = "; its last lines:" if last else ""
    return f"{source}: {installers.NAME} could not install it ({failure}){colon}{last}"
