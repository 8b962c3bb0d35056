"""KServe v2 over gRPC by grpcio's own server: one model, and faults by the number of
the inference. What it is told of a fault is (gRPC's status code, its message), or a number of bytes
to answer with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from qs.remote.protocols.kserve_messages import messages
from tests.servers.grpcio_server import STATUSES

PACKAGE = "/inference.GRPCInferenceService/"
Fault = tuple[int, str] | int


class Zeros(grpc.GenericRpcHandler):
    """The model `zeros`, FP32 [-1, 4] to the same, of batches of 1."""

    def __init__(self, faults: Mapping[int, Fault]) -> None:
        self.faults = faults
        self.inferences = 0

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = details.method.removeprefix(PACKAGE)
        answer = getattr(self, method, None) if method[:1].isupper() else None
        if answer is None:
            return None
        return grpc.unary_unary_rpc_method_handler(
            answer, response_serializer=lambda made: made.SerializeToString()
        )

    def ServerReady(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return messages().ServerReadyResponse(ready=True)

    def ModelReady(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return messages().ModelReadyResponse(ready=True)

    def ServerMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return messages().ServerMetadataResponse(name="scripted", version="1")

    def ModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        made = messages().ModelMetadataResponse(name="zeros", versions=["1"], platform="p")
        made.inputs.add(name="x", datatype="FP32", shape=[-1, 4])
        made.outputs.add(name="y", datatype="FP32", shape=[-1, 4])
        return made

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.inferences += 1
        fault = self.faults.get(self.inferences)
        if isinstance(fault, tuple):
            context.abort(STATUSES[fault[0]], fault[1])
        made = messages().ModelInferResponse(model_name="zeros", model_version="1")
        made.outputs.add(name="y", datatype="FP32", shape=[1, 4])
        made.raw_output_contents.append(bytes(fault if isinstance(fault, int) else 16))
        return made


@contextmanager
def zeros(faults: Mapping[int, Fault]) -> Iterator[int]:
    """The port on 127.0.0.1."""
    options = [("grpc.max_send_message_length", -1)]
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=[Zeros(faults)], options=options)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield port
        finally:
            server.stop(0).wait(5)
