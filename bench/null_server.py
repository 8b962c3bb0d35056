"""Servers that do nothing, in C, as processes: built once, and ended with what started them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCES = Path(__file__).parent / "null_servers"
MISSING = "no C compiler (cc) is here, which the null servers need"


def compiler() -> str | None:
    """The C compiler's path, if there is one."""
    return shutil.which("cc")


def built(kind: str) -> Path:
    """The program of null_servers/KIND.c, compiled unless it has been. Raises RuntimeError where
    there is no compiler.
    """
    cc = compiler()
    if cc is None:
        raise RuntimeError(MISSING)
    source = SOURCES / f"{kind}.c"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    program = Path(tempfile.gettempdir()) / f"qs-null-{kind}-{digest}"
    if not program.exists():
        made = program.with_suffix(".new")
        subprocess.run([cc, "-O2", "-o", str(made), str(source)], check=True)
        made.replace(program)
    return program


@contextmanager
def null_server(kind: str, *arguments: int) -> Iterator[int]:
    """The port on loopback of a null server: "http" or "grpc", which answer with so many bytes, or
    "sse", whose arguments its source explains.
    """
    with subprocess.Popen(
        [str(built(kind)), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.stdin.close()
