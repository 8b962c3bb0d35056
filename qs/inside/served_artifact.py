"""What a server says of a model's inputs; what it leaves open is guessed, and tried with one
inference through the wire.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qs.artifact.batch import Batch, no_other_size, served_batch
from qs.artifact.guesses import first_guess, guesses, input_bytes, nothing_runs
from qs.artifact.inputs import Input, Reading, read, with_items
from qs.artifact.model_info import plain_name
from qs.artifact.notes import notes_on
from qs.base.addresses import public
from qs.base.errors import Fault, Faults, UserError
from qs.base.words import data_size
from qs.engine.wire.failures import WireError
from qs.inside import feeding, served_prompts
from qs.inside.trying import ONE_RUN_S, ValueFault, tried
from qs.remote.address import SCHEMES, Address
from qs.remote.asked import Asked
from qs.remote.protocol import BadAnswer, ServedModel, ServedTensor, Unanswered
from qs.remote.sequences import as_sent
from qs.remote.serving import Serving
from qs.tensors.onnx_io import FileTensor, type_of

SERVER = "The server"
MOST_BYTES = 2 << 30  # of a request; no server takes more in one piece
BATCH = "batch"  # how the dimension is called that max_batch_size bounds
# The server's words on a request that it took: another one may fare better.
_OF_THE_REQUEST = re.compile(
    r"HTTP (400|413|422|500)|gRPC (INVALID_ARGUMENT|OUT_OF_RANGE|FAILED_PRECONDITION|INTERNAL|"
    r"UNKNOWN|RESOURCE_EXHAUSTED)"
)


def of_server(remote: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """See ArtifactService.describe_served."""
    serving = Serving(Asked.of({**remote, "timeout_s": ONE_RUN_S}))
    try:
        began = time.perf_counter()
        model = serving.describe()
        return _described(serving, model, time.perf_counter() - began, asked)
    except WireError as error:
        raise UserError(f"{serving.address}: {error}") from None
    finally:
        serving.close()


def _described(
    serving: Serving, model: ServedModel, open_s: float, asked: Mapping[str, Any]
) -> dict[str, Any]:
    address = serving.address
    _check(asked)
    llm = serving.asked.llm is not None
    if llm:
        served_prompts.check_feeding(asked)
    served, left_out = _fed(model, asked)
    if not served:
        raise UserError(
            f"{address}: the server states no inputs of this model, so nothing can be sent; have "
            "it state them (MLServer: inputs in model-settings.json)"
        )
    batched = model.max_batch_size > 0
    tensors = [_tensor(each, batched) for each in served]
    asked = {**asked, "data": feeding.named(asked.get("data"), [each.name for each in tensors])}
    sizes = list(asked.get("batch_sizes") or ())
    reading = read(
        tensors,
        asked.get("shapes") or {},
        str(address),
        asked=asked.get("batch_axis") or (),
        batch_sizes=sizes,
    )
    batch = served_batch(reading.batch, model.max_batch_size, BATCH)
    no_other_size(batch, sizes)
    inputs = first_guess(reading)
    feeding.check(asked, [asdict(each) for each in inputs])
    items = feeding.data_shapes(asked, inputs)
    if items:
        reading = with_items(reading, items)
        inputs = first_guess(reading)
    inputs, switches = feeding.with_switches(inputs, None, asked)
    _check_size(address, inputs, batch.only or max(sizes or (1,)))
    given = feeding.given(asked, inputs)
    tried_s, notes, prompts = None, [], None
    if llm:
        prompts, tried_s = _prompts(serving, asked)
        notes += prompts["notes"]
    elif asked.get("probe") and _worth_a_trial(inputs, given):
        inputs, tried_s = _tried(serving, reading, given, asked)
    elif any(each.guessed for each in inputs):
        notes.append("guessed shapes were not tried: nothing but questions was sent")
    if left_out:
        names = ", ".join(left_out)
        notes.append(f"{names}: optional, and not fed (--range, --data or --shape feeds it)")
    datatypes = {each.name: each.datatype for each in served}
    described = [asdict(each) | {"datatype": datatypes[each.name]} for each in inputs]
    return {
        "path": address.shown,
        "name": _name(address, model),
        "kind": "server",
        "format": address.protocol.partition(":")[0],
        "framework": _framework(model.platform),
        "precision": _precision(served),
        "inputs": described,
        "outputs": list(dict.fromkeys(each.name for each in model.outputs)),
        "output_tensors": [asdict(_tensor(each, batched)) for each in model.outputs],
        "states": {},
        "batch": batch.to_dict(),
        "batch_sizes": sizes or ([batch.only] if batch.only else []),
        "notes": [*notes, *notes_on(inputs, batch, given, "the server"), *switches],
        "open_s": open_s,
        "tried_s": tried_s,
        "served": _about(serving, model)
        | {"request": _sent(serving, inputs, asked, batch, prompts)},
        **({} if prompts is None else {"prompts": prompts}),
    }


def _prompts(serving: Serving, asked: Mapping[str, Any]) -> tuple[dict[str, Any], float | None]:
    """What a language model is asked, and how long one answer took if one was tried."""
    probe = bool(asked.get("probe"))
    made = served_prompts.make_prompts(serving, Path(asked["folder"]), probe)
    if not probe:
        return made, None
    began = time.perf_counter()
    served_prompts.try_one(serving, made["file"])
    return made, time.perf_counter() - began


def _check_size(address: Address, inputs: Sequence[Input], items: int) -> None:
    """UserError for a request that nobody can be sent."""
    size = input_bytes(inputs, items)
    if size > MOST_BYTES:
        largest = max(inputs, key=lambda each: input_bytes([each], items))
        raise UserError(
            f"{address}: one request of batch size {items} would hold {data_size(size)} "
            f"({largest}); at most {data_size(MOST_BYTES)} are sent: smaller --batch_sizes, or "
            "--shape where a dimension is open"
        )


def _sent(
    serving: Serving,
    inputs: Sequence[Input],
    asked: Mapping[str, Any],
    batch: Batch,
    prompts: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What one request is, without sending it."""
    items = batch.only or 1
    if prompts is None:
        feeds = feeding.trial_feeds(inputs, asked, {}, items)
    else:
        feeds = served_prompts.first_feeds(prompts["file"])
    request = as_sent(serving.request(feeds))
    if isinstance(request, bytes):
        line = request.partition(b"\r\n")[0].decode("latin-1").rpartition(" ")[0]
        size = len(request)
    else:
        line, size = request.path, len(request.data)
    return {"line": public(line), "bytes": size, "batch_size": items}


def _check(asked: Mapping[str, Any]) -> None:
    """Raises Faults for what cannot be done with answers that are not read while measuring."""
    if asked.get("states"):
        allowed = "not given: a server's answers are read after a case, and cannot be fed back"
        raise Faults(
            Fault(f"--state {name}", "", output, allowed)
            for name, output in asked["states"].items()
        )


def _fed(model: ServedModel, asked: Mapping[str, Any]) -> tuple[list[ServedTensor], list[str]]:
    """The inputs that are fed, and the names of optional ones that are not."""
    stated = {
        name for key in ("shapes", "types", "ranges", "data") for name in asked.get(key) or ()
    }
    left_out = [each.name for each in model.inputs if each.optional and each.name not in stated]
    if len(left_out) == len(model.inputs):
        left_out = []  # something has to be sent
    return [each for each in model.inputs if each.name not in left_out], left_out


def _tensor(served: ServedTensor, batched: bool) -> FileTensor:
    shape: list[int | str | None] = [None if size < 0 else size for size in served.shape]
    if batched and shape and shape[0] is None:
        shape[0] = BATCH
    return FileTensor(served.name, tuple(shape), type_of(served.dtype))


def _name(address: Address, model: ServedModel) -> str:
    """For reports and folders; a version that was asked for is part of it."""
    version = f"-v{address.version}" if address.version else ""
    return plain_name(f"{model.name or address.model}{version}") or "model"


def _framework(platform: str) -> str:
    """In the model info's words; one that runs anything, as Triton's python backend, is as good as
    ONNX.
    """
    word = platform.lower()
    return "Pytorch" if "torch" in word else "Tensorflow" if "tensorflow" in word else "Onnx"


def _precision(served: Sequence[ServedTensor]) -> str:
    """Of the inputs; what the server computes in, it does not say."""
    floats = {each.datatype for each in served} & {"FP16", "BF16", "FP32", "FP64"}
    return floats.pop() if len(floats) == 1 else "FP32"


def _about(serving: Serving, model: ServedModel) -> dict[str, Any]:
    """What is served, where, and how it is asked."""
    address, asked = serving.address, serving.asked
    named = f"/{address.model_path}" if address.model else ""
    if asked.llm is not None:
        named = f"/{model.name}"
    return {
        "title": f"{address.authority}{address.path}{named}",
        "address": address.shown,
        "protocol": SCHEMES[address.scheme].protocol.partition(":")[0],
        "transport": address.transport,
        "tls": address.tls,
        "model": model.name or address.model,
        "version": model.version,
        "platform": model.platform,
        "server": model.server_name,
        "server_version": model.server_version,
        "max_batch_size": model.max_batch_size,
        "instance_groups": list(model.instance_groups),
        "extensions": list(model.extensions),
        "versions": str(model.facts.get("versions", "")),
        "facts": dict(model.facts),
        "compression": asked.compression or "none",
        "client": asked.client,
        "connections": serving.settings.connections,
        "connections_stated": asked.connections is not None,
        "streams": asked.streams,
        "open_while_measuring": asked.open_while_measuring,
        "headers": sorted(asked.headers),
        "parameters": dict(asked.parameters),
        "shared_memory": asked.shared_memory,
        "sequences": asked.sequences,
        "body": {} if asked.llm is None else _in_json(asked.llm.body),
    }


def _in_json(body: Mapping[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value, ensure_ascii=False) for name, value in body.items()}


def _worth_a_trial(inputs: Sequence[Input], given: Collection[str]) -> bool:
    """Whether anything was guessed: shapes, or what integers mean."""
    return any(each.guessed or ("INT" in each.type and each.name not in given) for each in inputs)


class _Session:
    """One inference at a time, as qs.inside.trying runs it."""

    name = SERVER

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def run(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        try:
            return self._serving.infer(feeds)
        except Unanswered as error:
            if _OF_THE_REQUEST.fullmatch(error.failure) is None:
                raise UserError(str(error)) from None
            raise
        except BadAnswer as error:
            where = self._serving.address
            raise UserError(
                f"{where}: its answer to one inference cannot be used: {error}"
            ) from None

    def said(self, error: Exception) -> str:
        return str(error)


def _tried(
    serving: Serving, reading: Reading, given: Collection[str], asked: Mapping[str, Any]
) -> tuple[list[Input], float]:
    """The first guesses that the server takes, and how long its answer took. UserError."""
    batch_size = reading.batch.only or 1
    session = _Session(serving)

    def feeds_of(inputs: Sequence[Input]) -> dict[str, np.ndarray]:
        return feeding.trial_feeds(inputs, asked, {}, batch_size)

    def with_switches() -> Iterator[Sequence[Input]]:
        for guess in guesses(reading, batch_size):
            yield feeding.with_switches(guess, None, asked)[0]

    address = serving.address.shown
    try:
        found = tried(session, with_switches(), feeds_of, lambda each: each.name not in given)
    except ValueFault as fault:
        raise feeding.values_refused(session, fault, asked, address) from None
    if found.results is None:
        raise UserError(nothing_runs(reading, found.tried, address, found.said, SERVER))
    return list(found.inputs), found.seconds
