"""The messages of inference.GRPCInferenceService, as far as we use them, as classes of protobuf.

Each line of `_MESSAGES` is a message, its fields written "number name type", `*` before the name
of one that repeats. The numbers are those of the protocol and of Triton's configuration and
statistics; fields that are not here are skipped when they come. A map is written as what it is on
the wire: a repeated message of key and value.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

_MESSAGES = {
    "Empty": "",
    "ServerReadyResponse": "1 ready bool",
    "ModelRequest": "1 name string, 2 version string",
    "ModelReadyResponse": "1 ready bool",
    "ServerMetadataResponse": "1 name string, 2 version string, 3 *extensions string",
    "TensorMetadata": "1 name string, 2 datatype string, 3 *shape int64",
    "ModelMetadataResponse": "1 name string, 2 *versions string, 3 platform string, "
    "4 *inputs TensorMetadata, 5 *outputs TensorMetadata",
    "InferParameter": "1 bool_param bool, 2 int64_param int64, 3 string_param string, "
    "4 double_param double, 5 uint64_param uint64",
    "Parameter": "1 key string, 2 value InferParameter",
    "InferTensorContents": "1 *bool_contents bool, 2 *int_contents int32, 3 *int64_contents int64, "
    "4 *uint_contents uint32, 5 *uint64_contents uint64, 6 *fp32_contents float, "
    "7 *fp64_contents double, 8 *bytes_contents bytes",
    "InferTensor": "1 name string, 2 datatype string, 3 *shape int64, 4 *parameters Parameter, "
    "5 contents InferTensorContents",
    "RequestedOutput": "1 name string, 2 *parameters Parameter",
    "ModelInferRequest": "1 model_name string, 2 model_version string, 3 id string, "
    "4 *parameters Parameter, 5 *inputs InferTensor, 6 *outputs RequestedOutput, "
    "7 *raw_input_contents bytes",
    "ModelInferResponse": "1 model_name string, 2 model_version string, 3 id string, "
    "4 *parameters Parameter, 5 *outputs InferTensor, 6 *raw_output_contents bytes",
    "RepositoryIndexRequest": "1 repository_name string, 2 ready bool",
    "ModelIndex": "1 name string, 2 version string, 3 state string, 4 reason string",
    "RepositoryIndexResponse": "1 *models ModelIndex",
    "ModelInput": "1 name string, 8 optional bool",
    "InstanceGroup": "1 name string, 2 count int32, 3 *gpus int32, 4 kind int32",
    "DynamicBatching": "1 *preferred_batch_size int32, 2 max_queue_delay_microseconds uint64",
    "TransactionPolicy": "1 decoupled bool",
    "ResponseCache": "1 enable bool",
    "ModelConfig": "1 name string, 2 platform string, 4 max_batch_size int32, 5 *input ModelInput, "
    "7 *instance_group InstanceGroup, 11 dynamic_batching DynamicBatching, "
    "13 sequence_batching Empty, 15 ensemble_scheduling Empty, 17 backend string, "
    "19 model_transaction_policy TransactionPolicy, 24 response_cache ResponseCache",
    "ModelConfigResponse": "1 config ModelConfig",
    "StatisticDuration": "1 count uint64, 2 ns uint64",
    "InferStatistics": "1 success StatisticDuration, 2 fail StatisticDuration, "
    "3 queue StatisticDuration, 4 compute_input StatisticDuration, "
    "5 compute_infer StatisticDuration, 6 compute_output StatisticDuration, "
    "7 cache_hit StatisticDuration, 8 cache_miss StatisticDuration",
    "InferBatchStatistics": "1 batch_size uint64, 2 compute_input StatisticDuration, "
    "3 compute_infer StatisticDuration, 4 compute_output StatisticDuration",
    "ModelStatistics": "1 name string, 2 version string, 3 last_inference uint64, "
    "4 inference_count uint64, 5 execution_count uint64, 6 inference_stats InferStatistics, "
    "7 *batch_stats InferBatchStatistics",
    "ModelStatisticsResponse": "1 *model_stats ModelStatistics",
    "RegionRegisterRequest": "1 name string, 2 key string, 3 offset uint64, 4 byte_size uint64",
    "RegionUnregisterRequest": "1 name string",
    "RegionStatus": "1 name string",
    "RegionEntry": "1 key string, 2 value RegionStatus",
    "RegionStatusResponse": "1 *regions RegionEntry",
}
# Of these fields one is set, and a value of 0 or false is sent too.
_CHOICE = "InferParameter"
_PACKAGE = "inference"


@functools.cache
def messages() -> Any:
    """The classes by name. They stand in a pool of their own: another library in this process may
    have classes of the same names.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="inference", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if name == _CHOICE:
            message.oneof_decl.add(name="choice")
        for text in filter(None, fields.split(", ")):
            number, called, kind = text.split(" ")
            field = message.field.add(name=called.lstrip("*"), number=int(number))
            field.label = kinds.LABEL_REPEATED if called[0] == "*" else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
            if name == _CHOICE:
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return SimpleNamespace(
        **{
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
            for name in _MESSAGES
        }
    )


def parsed(name: str, content: bytes | memoryview, what: str) -> Any:
    """A message of this class; BadAnswer if the bytes are none."""
    from google.protobuf.message import DecodeError

    from qs.remote.protocol import BadAnswer

    message = getattr(messages(), name)()
    try:
        message.ParseFromString(bytes(content))
    except DecodeError:
        raise BadAnswer(f"{what} is no {name} ({len(content)} bytes)") from None
    return message


def sequence_marks(number: int, first: bool, last: bool) -> bytes:
    """The parameters of a ModelInferRequest that say which sequence it is of, in a constant number
    of bytes: the id is written with all of its nine groups of seven bits (it is below 2 ** 63).
    """
    digits = bytes((number >> 7 * at & 0x7F) | (0x80 if at < 8 else 0) for at in range(9))
    return b"".join(
        (
            _mark(b"sequence_id", b"\x10" + digits),
            _mark(b"sequence_start", b"\x08" + bytes((first,))),
            _mark(b"sequence_end", b"\x08" + bytes((last,))),
        )
    )


def _mark(key: bytes, value: bytes) -> bytes:
    """Field 4 of the request: a Parameter with key and value."""
    entry = b"\x0a" + bytes((len(key),)) + key + b"\x12" + bytes((len(value),)) + value
    return b"\x22" + bytes((len(entry),)) + entry
