"""A KServe v2 server of ours over HTTP, scripted: with and without the binary extension, Triton's
configuration, statistics, metrics and shared memory, and every fault on demand.

    with KserveServer([doubling()], binary=True) as server:
        ... server.url("double") ...            # kserve+http://127.0.0.1:PORT/double
        server.faults.append("HTTP 503")        # how the next inference fails
        server.fault = "silence"                # how each does from now on

It runs on a loop in a thread of this process, and reads and writes tensors by code of its own, so
that what it is to test is not tested against itself. `python -m tests.servers.kserve PORT` runs the
models of `main` until it is ended.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import mmap
import socket
import ssl
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import unquote

import numpy as np

Arrays = Mapping[str, np.ndarray]
NUMPY = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1",
    "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
EXTENSIONS = ["model_configuration", "statistics", "system_shared_memory", "sequence"]
LENGTH_HEADER = "inference-header-content-length"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HUGE = 2 << 30
FAULTS = (
    "HTTP 503 any text", "redirect", "silence", "half", "slow", "drip", "garbage", "wrong length",
    "close",
    "bad chunk", "half then reset", "reset", "huge", "answer wrong type", "answer wrong shape",
    "answer wrong name", "answer nothing",
)  # fmt: skip


@dataclass
class Model:
    """One served model: `function` makes outputs of inputs. Tensors: name -> (datatype, shape)."""

    name: str
    inputs: Mapping[str, tuple[str, Sequence[int]]]
    outputs: Mapping[str, tuple[str, Sequence[int]]]
    function: Callable[[Arrays], Arrays]
    versions: Sequence[str] = ("1",)
    platform: str = "python"
    config: Mapping[str, Any] = field(default_factory=dict)  # Triton's; max_batch_size among it
    ready: bool = True
    known: bool = True  # False: as if it had been unloaded
    answered: int = 0
    busy_ns: int = 0


@dataclass
class Seen:
    """One request, as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The JSON of an inference, unpacked."""
        body = gzip.decompress(self.body) if "content-encoding" in self.headers else self.body
        found: dict[str, Any] = json.loads(body[: int(self.headers.get(LENGTH_HEADER, len(body)))])
        return found


def doubling(datatype: str = "FP32", shape: Sequence[int] = (-1, 4), **more: Any) -> Model:
    """y = 2 * x."""
    return Model(
        "double",
        {"x": (datatype, shape)},
        {"y": (datatype, shape)},
        lambda feeds: {"y": feeds["x"] * 2},
        **more,
    )


def echo(
    datatypes: Iterable[str], shape: Sequence[int] = (-1, -1), name: str = "echo", **more: Any
) -> Model:
    """An output out_T for each input in_T of the types T."""
    kinds = list(datatypes)
    return Model(
        name,
        {f"in_{kind}": (kind, shape) for kind in kinds},
        {f"out_{kind}": (kind, shape) for kind in kinds},
        lambda feeds: {f"out_{each[3:]}": array for each, array in feeds.items()},
        **more,
    )


class KserveServer:
    """Serves until the `with` ends. Attributes may be changed while it runs."""

    def __init__(
        self,
        models: Sequence[Model],
        binary: bool = True,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.models = {model.name: model for model in models}
        self.binary = binary
        self.ready = True
        self.name, self.version = "scripted", "1.2.3"
        self.extensions = [*EXTENSIONS, *(["binary_tensor_data"] if binary else [])]
        self.delay_s = 0.0  # before each answer to an inference
        self.fault: str | None = None
        self.faults: deque[str] = deque()  # each for one inference, before `fault`
        # Of the statistics ("stats") and the metrics ("metrics"): a fault, or what is answered.
        self.beside: dict[str, str | bytes] = {}
        self.replaced: Callable[[dict[str, Any]], Any] | None = None  # of an answer's JSON
        self.seen: list[Seen] = []
        self.keep_seen = True
        self.regions: dict[str, mmap.mmap] = {}  # as Triton does, mapped when registered
        self.connections = 0
        self.port, self.tls = port, tls
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._up = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def url(self, model: str = "", scheme: str = "kserve+http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}" + (f"/{model}" if model else "")

    def inferences(self) -> list[Seen]:
        """The inferences that came, in order."""
        return [each for each in self.seen if each.path.endswith("/infer")]

    def __enter__(self) -> KserveServer:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        assert self._up.wait(30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def drop(self) -> None:
        """End all connections, as a server that is killed does."""
        self._loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(
                self._connection, "127.0.0.1", self.port, limit=1 << 28, ssl=self.tls
            )
        )
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        self._loop.run_forever()
        server.close()
        self._drop()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            while await self._request(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = Seen(method, path, headers, body)
        if self.keep_seen:
            self.seen.append(seen)
        infer = path.endswith("/infer")
        if infer and self.delay_s:
            await asyncio.sleep(self.delay_s)
        fault = (self.faults.popleft() if self.faults else self.fault) if infer else None
        beside = self.beside.get(path.rpartition("/")[2])
        if isinstance(beside, bytes):
            writer.write(_message(200, beside, {}))
            await writer.drain()
            return True
        fault = fault or beside
        if fault is not None and not fault.startswith("answer "):
            return await self._fail(fault, writer)
        try:
            status, more, content = self._answer(seen, fault)
        except (KeyError, ValueError, TypeError) as error:
            status, more, content = 400, {}, json.dumps({"error": str(error)}).encode()
        writer.write(_message(status, content, more))
        await writer.drain()
        return True

    async def _fail(self, fault: str, writer: asyncio.StreamWriter) -> bool:
        """A fault by its name; see FAULTS."""
        word, _, rest = fault.partition(" ")
        if word == "HTTP":
            status, _, text = rest.partition(" ")
            writer.write(_message(int(status), text.encode(), {}))
            await writer.drain()
            return True
        if fault == "redirect":
            writer.write(_message(302, b"", {"Location": "http://elsewhere.invalid/v2"}))
            return True
        if fault == "silence":
            await asyncio.sleep(3600)
        whole = _message(200, b'{"outputs": []}', {})
        sent = {
            "half": whole[:-5],
            "slow": whole[:20],
            "garbage": b"\x00\x01 this is not HTTP\r\n\r\n",
            "wrong length": whole.replace(b"Content-Length: 15", b"Content-Length: 4"),
            "bad chunk": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
        }
        if fault in sent:
            writer.write(sent[fault])
            await writer.drain()
            if fault in ("half", "slow"):
                await asyncio.sleep(3600)
        elif fault == "half then reset":
            writer.write(whole[:-5])
            await writer.drain()
            _reset(writer)
        elif fault == "reset":
            _reset(writer)
        elif fault == "drip":  # slowly enough that nobody waits for its end
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        elif fault == "huge":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
            block = bytes(1 << 20)
            for _ in range(HUGE >> 20):
                writer.write(block)
                await writer.drain()
            return True
        elif fault != "close" and fault not in sent:
            raise AssertionError(f"no fault {fault!r}")
        return False

    def _answer(self, seen: Seen, fault: str | None) -> tuple[int, dict[str, str], bytes]:
        path = seen.path.partition("?")[0]
        if path == "/metrics":
            return 200, {"Content-Type": "text/plain"}, self._metrics()
        pieces = [unquote(each) for each in path.strip("/").split("/")]
        if pieces[:1] != ["v2"]:
            return 404, {}, b""
        rest = pieces[1:]
        if not rest:
            return _json(
                {"name": self.name, "version": self.version, "extensions": self.extensions}
            )
        if rest[0] == "health":
            return (200 if self.ready or rest[1] == "live" else 400), {}, b""
        if rest[:2] == ["repository", "index"]:
            states = [
                {"name": each.name, "version": version, "state": "READY"}
                for each in self.models.values()
                for version in each.versions
                if each.known
            ]
            return _json(states)
        if rest[0] == "systemsharedmemory":
            return self._region(rest, seen)
        if rest[0] == "models":
            return self._model(rest[1:], seen, fault)
        return 404, {}, b""

    def _model(
        self, rest: list[str], seen: Seen, fault: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        model = self.models.get(rest[0])
        version = rest[2] if rest[1:2] == ["versions"] else ""
        tail = rest[3:] if version else rest[1:]
        known = model is not None and model.known and (not version or version in model.versions)
        if tail == ["ready"]:
            ready = known and model is not None and model.ready
            return (200 if ready else 400), {}, b""
        if not known or model is None:
            text = f"Request for unknown model: '{rest[0]}' is not found"
            return 400, {}, json.dumps({"error": text}).encode()
        if not model.ready:
            text = f"Request for unknown model: '{model.name}' has no available versions"
            return 400, {}, json.dumps({"error": text}).encode()
        if not tail:
            return _json(_metadata(model))
        if tail == ["config"]:
            return _json({"name": model.name, "max_batch_size": 0, **model.config})
        if tail == ["stats"]:
            return _json({"model_stats": [_statistics(model)]})
        if tail == ["infer"]:
            return self._infer(model, seen, fault)
        return 404, {}, b""

    def _infer(
        self, model: Model, seen: Seen, fault: str | None
    ) -> tuple[int, dict[str, str], bytes]:
        begun = time.perf_counter_ns()
        body = gzip.decompress(seen.body) if "content-encoding" in seen.headers else seen.body
        length = int(seen.headers.get(LENGTH_HEADER, len(body)))
        document, at = json.loads(body[:length]), length
        feeds: dict[str, np.ndarray] = {}
        for each in document["inputs"]:
            datatype, shape = each["datatype"], each["shape"]
            if model.inputs and model.inputs[each["name"]][0] != datatype:
                raise ValueError(f"input {each['name']} has the type {datatype}")
            parameters = each.get("parameters", {})
            if "shared_memory_region" in parameters:
                content = self._content(parameters)
            elif "binary_data_size" in parameters:
                size = parameters["binary_data_size"]
                content, at = body[at : at + size], at + size
            else:
                feeds[each["name"]] = _from_list(datatype, shape, each["data"])
                continue
            feeds[each["name"]] = _from_bytes(datatype, shape, content)
        binary = bool(document.get("parameters", {}).get("binary_data_output"))
        made = model.function(feeds)
        regions = {
            each["name"]: each["parameters"]
            for each in document.get("outputs", [])
            if "shared_memory_region" in each.get("parameters", {})
        }
        outputs, parts = [], []
        for name, array in made.items():
            datatype = model.outputs[name][0]
            stated: dict[str, Any] = {
                "name": name,
                "datatype": datatype,
                "shape": list(array.shape),
            }
            content = _to_bytes(datatype, array)
            if name in regions:
                self._content(regions[name], content)
                stated["parameters"] = {**regions[name], "shared_memory_byte_size": len(content)}
            elif binary:
                parts.append(content)
                stated["parameters"] = {"binary_data_size": len(content)}
            else:
                stated["data"] = _to_list(datatype, array)
            outputs.append(stated)
        answer: Any = {"model_name": model.name, "model_version": model.versions[-1]}
        answer["outputs"] = outputs
        if fault is not None:
            _spoil(fault.removeprefix("answer "), outputs)
        if self.replaced is not None:
            answer = self.replaced(answer)
        head = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        model.answered += 1
        model.busy_ns += time.perf_counter_ns() - begun
        more = {LENGTH_HEADER: str(len(head))} if binary else {}
        content = b"".join((head, *parts))
        if "gzip" in seen.headers.get("accept-encoding", ""):
            content, more = gzip.compress(content), {**more, "Content-Encoding": "gzip"}
        return 200, more, content

    def _region(self, rest: list[str], seen: Seen) -> tuple[int, dict[str, str], bytes]:
        """Triton's extension: register, unregister, status."""
        if rest[-1] == "status":
            return _json([{"name": name, "byte_size": len(each)} for name, each in
                          self.regions.items()])  # fmt: skip
        if rest[-1] == "unregister":
            self.regions.pop(rest[2], None) if len(rest) == 4 else self.regions.clear()
            return 200, {}, b""
        stated = json.loads(seen.body)
        if rest[2] in self.regions:
            raise ValueError(f"shared memory region '{rest[2]}' already in manager")
        try:
            with open(f"/dev/shm{stated['key']}", "r+b") as file:
                self.regions[rest[2]] = mmap.mmap(file.fileno(), stated["byte_size"])
        except OSError:
            raise ValueError(f"Unable to open shared memory region: '{rest[2]}'") from None
        return 200, {}, b""

    def _content(self, parameters: Mapping[str, Any], put: bytes | None = None) -> bytes:
        region = self.regions[parameters["shared_memory_region"]]
        begin = parameters.get("shared_memory_offset", 0)
        end = begin + parameters["shared_memory_byte_size"]
        if end > len(region):
            raise ValueError("shared memory region is too small")
        if put is not None:
            region[begin : begin + len(put)] = put
        return region[begin:end]

    def _metrics(self) -> bytes:
        lines = ["# TYPE scripted_inferences_total counter"]
        for model in self.models.values():
            lines.append(f'scripted_inferences_total{{model="{model.name}"}} {model.answered}')
        lines += ["# TYPE scripted_connections gauge", f"scripted_connections {self.connections}"]
        return ("\n".join(lines) + "\n").encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST, as a crash does; a plain close sends FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _message(status: int, content: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def _json(document: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


def _metadata(model: Model) -> dict[str, Any]:
    def tensors(stated: Mapping[str, tuple[str, Sequence[int]]]) -> list[dict[str, Any]]:
        return [
            {"name": name, "datatype": kind, "shape": list(shape)}
            for name, (kind, shape) in stated.items()
        ]

    return {
        "name": model.name,
        "versions": list(model.versions),
        "platform": model.platform,
        "inputs": tensors(model.inputs),
        "outputs": tensors(model.outputs),
    }


def _statistics(model: Model) -> dict[str, Any]:
    pair = {"count": model.answered, "ns": model.busy_ns}
    nothing = {"count": 0, "ns": 0}
    return {
        "name": model.name,
        "version": model.versions[-1],
        "inference_count": model.answered,
        "execution_count": model.answered,
        "inference_stats": {
            "success": pair,
            "fail": nothing,
            "queue": nothing,
            "compute_input": nothing,
            "compute_infer": pair,
            "compute_output": nothing,
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": [{"batch_size": 1, "compute_infer": pair}] if model.answered else [],
    }


def _spoil(fault: str, outputs: list[dict[str, Any]]) -> None:
    """What a lying server says of its first output, whose values stay as they are."""
    if fault == "wrong type":
        outputs[0]["datatype"] = "INT8" if outputs[0]["datatype"] != "INT8" else "FP64"
    elif fault == "wrong shape":
        outputs[0]["shape"] = [*outputs[0]["shape"], 3]
    elif fault == "wrong name":
        outputs[0]["name"] = "other"
    elif fault == "nothing":
        outputs.clear()
    else:
        raise AssertionError(f"no fault 'answer {fault}'")


def _from_list(datatype: str, shape: Sequence[int], data: list[Any]) -> np.ndarray:
    if datatype == "BYTES":
        return np.array([each.encode() for each in data], object).reshape(shape)
    if datatype == "BF16":
        return np.array(data, np.float32).reshape(shape)
    return np.array(data).astype(NUMPY[datatype]).reshape(shape)


def _to_list(datatype: str, array: np.ndarray) -> list[Any]:
    members = array.ravel().tolist()
    return [each.decode() for each in members] if datatype == "BYTES" else members


def _from_bytes(datatype: str, shape: Sequence[int], content: bytes) -> np.ndarray:
    if datatype == "BYTES":
        found, at = [], 0
        while at < len(content):
            (size,) = struct.unpack_from("<I", content, at)
            found.append(content[at + 4 : at + 4 + size])
            at += 4 + size
        array = np.empty(len(found), object)
        array[:] = found
        return array.reshape(shape)
    if datatype == "BF16":  # the upper half of a float32 whose lower half is 0
        halves = np.frombuffer(content, "<u2")
        return np.stack([np.zeros_like(halves), halves], -1).reshape(-1).view("<f4").reshape(shape)
    return np.frombuffer(content, NUMPY[datatype]).reshape(shape)


def _to_bytes(datatype: str, array: np.ndarray) -> bytes:
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(each)) + each for each in array.ravel().tolist())
    if datatype == "BF16":
        return array.astype("<f4").view("<u2").reshape(-1)[1::2].tobytes()
    return array.astype(NUMPY[datatype]).tobytes()


def main(port: int) -> None:
    """Serve a doubling model until this process is ended; the address is printed."""
    with KserveServer([doubling()], port=port) as server:
        server.keep_seen = False
        print(server.url("double"), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
