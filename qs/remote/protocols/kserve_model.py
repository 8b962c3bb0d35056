"""What a KServe v2 server says of a model, whichever way it was asked, as a ServedModel.

The configuration is Triton's ModelConfig as JSON has it; names of its members are those of its
protobuf message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qs.base.errors import UserError
from qs.base.names import nearest
from qs.base.visible import one_line
from qs.remote.address import Address, listed
from qs.remote.asked import Asked
from qs.remote.datatypes import DATATYPES
from qs.remote.protocol import ServedModel, ServedTensor

# names of extensions, as servers announce them
BINARY, CONFIGURATION, STATISTICS = "binary_tensor_data", "model_configuration", "statistics"
SEQUENCES, SHARED_MEMORY = "sequence", "system_shared_memory"


def served(
    address: Address,
    server: tuple[object, object, tuple[str, ...]],
    metadata: tuple[object, object, object],
    inputs: tuple[ServedTensor, ...],
    outputs: tuple[ServedTensor, ...],
    config: Mapping[str, Any],
    binary: bool,
) -> ServedModel:
    """`server` is (name, version, extensions), `metadata` (name, platform, versions)."""
    name, platform, versions = metadata
    known = [_text(each) for each in versions] if isinstance(versions, (list, tuple)) else []
    most = config.get("max_batch_size")
    optional = {
        each["name"]
        for each in _list(config.get("input"))
        if each.get("optional") is True and isinstance(each.get("name"), str)
    }
    facts = {"tensors": "binary" if binary else "JSON", **_scheduling(config)}
    if known and not address.version:
        facts["versions"] = ", ".join(known)
    return ServedModel(
        name=_text(name) or address.model,
        version=address.version or (known[-1] if len(known) == 1 else ""),
        platform=_text(platform),
        inputs=tuple(replace(each, optional=each.name in optional) for each in inputs),
        outputs=outputs,
        max_batch_size=most if type(most) is int and most > 0 else 0,
        server_name=_text(server[0]),
        server_version=_text(server[1]),
        extensions=server[2],
        instance_groups=tuple(map(_group, _list(config.get("instance_group")))),
        facts=facts,
    )


def check_asked(
    address: Address, asked: Asked, model: ServedModel, config: Mapping[str, Any]
) -> None:
    """UserError if this model, on this server, cannot be measured as asked."""
    policy = config.get("model_transaction_policy")
    if isinstance(policy, Mapping) and policy.get("decoupled") is True:
        raise UserError(
            f"{address}: the model {model.name!r} is decoupled: it may answer a request with any "
            "number of answers, over streams; only models with one answer a request are measured"
        )
    if config.get("sequence_batching") is not None and not asked.sequences:
        if not {"sequence_id"} & set(asked.parameters):
            raise UserError(
                f"{address}: the model {model.name!r} keeps a state for each sequence of requests "
                "(sequence_batching): say --sequences N, such as 8x20 for 8 sequences of 20 "
                "requests each"
            )
    if asked.shared_memory and model.extensions and SHARED_MEMORY not in model.extensions:
        raise UserError(f"{address}: the server has no {SHARED_MEMORY}: leave out --shared_memory")
    if asked.binary == "always" and model.extensions and BINARY not in model.extensions:
        raise UserError(
            f"{address}: the server does not announce {BINARY}; allowed for --binary: auto or never"
        )


def in_region(region: str, offset: int, size: int) -> dict[str, str | int]:
    """The parameters of an input that is in shared memory."""
    return {
        "shared_memory_region": region,
        "shared_memory_offset": offset,
        "shared_memory_byte_size": size,
    }


def model_list(names: Sequence[str], address: Address) -> str:
    """What to do about a model that is not there."""
    if not names:
        return "name it as it is called there: .../MODEL"
    shown = listed([one_line(each, 60) for each in dict.fromkeys(names)])
    close = nearest(address.model, names) if address.model else None
    return f"its models: {shown}" + (f"; did you mean {close!r}?" if close else "")


def unannounced(name: str, array: np.ndarray) -> ServedTensor:
    """An input that the server says nothing of goes as what it is."""
    dtype = np.asarray(array).dtype
    for datatype, known in DATATYPES.items():
        if (dtype == known and datatype != "BF16") or (datatype == "BYTES" and dtype.kind in "USO"):
            return ServedTensor(name, datatype, known, ())
    raise UserError(f"input {name!r} has the type {dtype}, which the protocol does not have")


def _scheduling(config: Mapping[str, Any]) -> dict[str, str]:
    """How the server puts requests together, and whether it keeps answers."""
    facts: dict[str, str] = {}
    batching = config.get("dynamic_batching")
    if isinstance(batching, Mapping):
        words = ["dynamic batching"]
        preferred = batching.get("preferred_batch_size")
        if isinstance(preferred, (list, tuple)) and preferred:
            words.append("preferred " + ", ".join(_text(each) for each in preferred[:8]))
        delay = _text(batching.get("max_queue_delay_microseconds"))
        if delay not in ("", "0"):
            words.append(f"queue delay up to {delay} us")
        facts["scheduling"] = ", ".join(words)
    elif config.get("sequence_batching") is not None:
        facts["scheduling"] = "sequence batching"
    elif config.get("ensemble_scheduling") is not None:
        facts["scheduling"] = "ensemble"
    elif config:
        facts["scheduling"] = "one request at a time, not batched"
    cache = config.get("response_cache")
    if isinstance(cache, Mapping) and cache.get("enable") is True:
        facts["response cache"] = "on"
    backend = _text(config.get("backend"))
    if backend:
        facts["backend"] = backend
    return facts


def _group(group: Mapping[str, Any]) -> str:
    """ "2 x CPU", "1 x GPU 0, 1"."""
    kind = _text(group.get("kind")).removeprefix("KIND_") or "AUTO"
    gpus = group.get("gpus")
    where = ""
    if isinstance(gpus, (list, tuple)) and gpus:
        where = " " + ", ".join(_text(each) for each in gpus[:16])
    return f"{_text(group.get('count')) or '1'} x {kind}{where}"


def _list(stated: object) -> list[Mapping[str, Any]]:
    if not isinstance(stated, (list, tuple)):
        return []
    return [each for each in stated[:64] if isinstance(each, Mapping)]


def _text(value: object) -> str:
    if value is None or isinstance(value, (dict, list)):
        return ""
    return one_line(value, 120)
