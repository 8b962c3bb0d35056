"""The peers that `remote.py` compares with: wrk, aiohttp and grpc.aio, sending the same bytes."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

from remote_work import METHOD, Turn, Work, awaiting, on_loop


def aiohttp(kind: str, work: Work) -> Turn:
    """aiohttp on uvloop, a session without a limit of connections."""
    import aiohttp

    async def whole() -> Turn:
        connector = aiohttp.TCPConnector(limit=0)
        url, body = f"http://127.0.0.1:{work.port}/", bytes(work.up)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask() -> None:
                async with session.post(url, data=body) as answer:
                    await answer.read()

            return await awaiting(work, ask)

    return on_loop(whole)


def grpc_aio(kind: str, work: Work) -> Turn:
    """grpc.aio, one channel, messages as bytes."""
    import grpc.aio

    async def whole() -> Turn:
        options = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{work.port}", options=options) as channel:
            method = channel.unary_unary(METHOD, bytes, bytes)
            message = bytes(work.up)
            return await awaiting(work, lambda: method(message))

    return on_loop(whole)


def wrk(kind: str, work: Work) -> Turn:
    """wrk (C), one thread; the CPU time is that of its process."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {work.up})\n')
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for_s = max(round(work.for_s), 1)
        done = subprocess.run(
            ["wrk", "-t1", f"-c{work.clients}", f"-d{for_s}s", "--latency", "-s", str(script)]
            + [f"http://127.0.0.1:{work.port}/"],
            capture_output=True,
            text=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    per_s = float(re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)[1])
    p50, p99 = (_us(re.search(rf"{rank}%\s+([\d.]+\w+)", done.stdout)[1]) for rank in (50, 99))
    return Turn(cpu_s / requests * 1e6, per_s, p50, p99)


def _us(text: str) -> float:
    value, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()
    return float(value) * {"us": 1.0, "ms": 1e3, "s": 1e6}[unit]


def missing(name: str) -> str | None:
    """Why a peer cannot take part; None if it can."""
    if name == "wrk":
        return None if shutil.which("wrk") else "wrk is not installed (Debian: apt install wrk)"
    package = {"aiohttp": "aiohttp", "grpc.aio": "grpc"}.get(name)
    if package is None:
        return None
    try:
        __import__(package)
    except ImportError:
        wanted = {"grpc": "grpcio"}.get(package, package)
        return f"{name} is not installed (pip install {wanted})"
    return None
