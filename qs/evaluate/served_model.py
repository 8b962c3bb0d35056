"""The served model of a run, as our own process sees it: asked once what it is, and watched beside
each case. Nothing here is in the way of a measured request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from qs.base.errors import UserError
from qs.base.storable import storable
from qs.evaluate.journal import Journal
from qs.remote.address import is_address
from qs.remote.asked import Asked
from qs.remote.protocol import ServedModel
from qs.remote.serving import Serving
from qs.remote.watching import ServerWatch
from qs.result.server_entry import ServedEntry

READY_S = 5.0  # the backend has waited for it already
_NAMES = frozenset(each.name for each in fields(Asked))
_PROTOCOLS = {
    "kserve": "KServe v2",
    "torchserve": "TorchServe's REST",
    "tfserving": "TensorFlow Serving's REST",
    "openai": "OpenAI's APIs",
}


@dataclass(frozen=True)
class Served:
    """The server that answers in this run."""

    asked: Asked
    model: ServedModel | None  # None: it could not be asked
    watch: ServerWatch


@asynccontextmanager
async def served_in(
    compile_result: Mapping[str, Any], remote: Mapping[str, Any], journal: Journal
) -> AsyncIterator[Served | None]:
    """What a compile result says is served, for as long as the run lasts; None where it is of no
    server. `remote`: what was typed beside, of which the metrics hold here.
    """
    asked = asked_of(compile_result, remote)
    if asked is None:
        yield None
        return
    model, facts, why = await asyncio.to_thread(_looked_at, asked)
    journal.record.served = entry_of(asked, model, facts)
    if why:
        journal.warn(f"the server could not be asked what it is: {why}")
    watch = ServerWatch(asked, model)
    try:
        yield Served(asked, model, watch)
    finally:
        await asyncio.to_thread(watch.close)


def asked_of(compile_result: Mapping[str, Any], remote: Mapping[str, Any]) -> Asked | None:
    """What the backend was asked to speak to: `Asked.plain` in its compile result."""
    plain = compile_result.get("asked")
    if not isinstance(plain, Mapping) or not is_address(plain.get("url")):
        return None
    if not _NAMES.issuperset(plain):  # a backend that means something else by it
        return None
    more = {name: remote[name] for name in ("metrics_url", "metrics") if remote.get(name)}
    return Asked.of({**plain, **more})


def _looked_at(asked: Asked) -> tuple[ServedModel | None, dict[str, str], str]:
    """(the model, facts of the connection, why it is not known)."""
    serving = Serving(asked)
    try:
        model = serving.ready(min(asked.ready_timeout_s, READY_S))
        return model, serving.facts(), ""
    except Exception as error:  # the run needs none of it
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return None, serving.facts(), said
    finally:
        serving.close()


def entry_of(asked: Asked, model: ServedModel | None, facts: Mapping[str, str]) -> ServedEntry:
    """Which server it is, for the report. Of headers it has the names alone."""
    address = asked.address()
    family = address.scheme.partition("+")[0]
    protocol = _PROTOCOLS.get(family, "a template of the user's")
    own = dict(model.facts) if model is not None else {}
    return ServedEntry(
        **storable(
            {
                "url": address.shown,
                "address": facts.get("address"),
                "protocol": f"{protocol} over {'gRPC' if address.transport == 'grpc' else 'HTTP'}",
                "server": model.server_name or None if model else None,
                "server_version": model.server_version or None if model else None,
                "model": (model.name if model else address.model) or None,
                "model_version": (model.version if model else address.version) or None,
                "platform": model.platform or None if model else None,
                "max_batch_size": model.max_batch_size if model else None,
                "instance_groups": list(model.instance_groups) if model else [],
                "extensions": list(model.extensions) if model else [],
                "tls": facts.get("tls") or (None if not address.tls else "TLS"),
                "compression": asked.compression or "off",
                "tensors": own.pop("tensors", None),
                "client": asked.client,
                "header_names": list(asked.headers),
                "facts": own,
            }
        )
    )
