"""A server watched beside the cases of a run: its statistics, where it has them, and its metrics,
where the user gave their address. Each is read by a thread of its own, over its own connection.

    with watch.watching() as watched:       # as run_async's `beside`
        ...
    watched.statistics, watched.pages       # what was read
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from qs.base.addresses import public
from qs.engine.wire.requests import http_request
from qs.engine.wire.settings import ClientSettings, Tls
from qs.remote.asked import Asked
from qs.remote.asking import Asking
from qs.remote.metrics import WELL_KNOWN, Page, Wanted, parsed
from qs.remote.protocol import ServedModel
from qs.remote.reading_statistics import answered, request_of
from qs.remote.sampler import Readings, Sampler, Unread
from qs.remote.serving import settings_of
from qs.remote.statistics import Statistics

if TYPE_CHECKING:
    from qs.engine.wire.calls import WireCall

INTERVAL_S = 1.0
READING_S = 2.0  # the longest that one reading may take
MOST_BYTES = 16 << 20  # of one answer
# How long a case's start waits for the first readings, before any request is made; and how long its
# end waits for the last ones, when all are answered.
START_S, END_S = 0.5, 1.0
STATISTICS = "statistics"  # what a server calls the extension


class StatisticsProbe:
    """One reading of the statistics of the model."""

    def __init__(self, asked: Asked):
        address = asked.address()
        self._transport, self._model = address.transport, address.model
        self._request = request_of(address, asked)
        settings = _bounded(settings_of(asked, address))
        self._asking = Asking(settings, address.transport, asked.client)

    def read(self) -> Statistics:
        call = _answer(self._asking, self._request, "statistics")
        return answered(call, self._transport, self._model)

    def close(self) -> None:
        self._asking.close()


class MetricsProbe:
    """One reading of a page of metrics."""

    def __init__(self, asked: Asked, wanted: Wanted):
        url = urlsplit(asked.metrics_url)
        tls = url.scheme == "https"
        host, port = url.hostname or "", url.port or (443 if tls else 80)
        address = asked.address()
        # What the user adds to requests is for that server alone.
        own = (address.host, address.port, address.tls) == (host, port, tls)
        path = (url.path or "/metrics") + (f"?{url.query}" if url.query else "")
        headers = {"Accept": "text/plain;version=0.0.4", **(asked.headers_now() if own else {})}
        self._request = http_request("GET", path, url.netloc, headers)
        self._wanted = wanted
        settings = ClientSettings(
            host,
            port,
            Tls(
                ca=asked.ca or None,
                verify=not asked.insecure,
                server_name=asked.server_name or None if own else None,
                certificate=asked.certificate or None if own else None,
                key=asked.key or None if own else None,
            )
            if tls
            else None,
        )
        self._asking = Asking(_bounded(settings), "http", "lean")

    def read(self) -> Page:
        call = _answer(self._asking, self._request, "metrics")
        return parsed(bytes(call.body).decode("utf-8", "replace"), self._wanted)

    def close(self) -> None:
        self._asking.close()


def _bounded(settings: ClientSettings) -> ClientSettings:
    return replace(
        settings,
        connections=1,
        connect_timeout_s=min(settings.connect_timeout_s, READING_S),
        first_byte_timeout_s=None,
        timeout_s=READING_S,
        most_kept_bytes=MOST_BYTES,
    )


def _answer(asking: Asking, request: Any, what: str) -> WireCall:
    call = asking.ask(request)
    if call.failure is not None:
        detail = f": {call.detail}" if call.detail else ""
        raise Unread(f"{what}: {call.failure}{detail}")
    return call


class Watched:
    """One case, from just before its start to its end."""

    def __init__(self, samplers: Sequence[Sampler]):
        self._samplers = samplers
        self.readings: dict[str, Readings] = {}

    def __enter__(self) -> Watched:
        for each in self._samplers:
            each.begin()
        self._settled(START_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in self._samplers:
            each.end()

    def take(self) -> dict[str, Readings]:
        """By name, what was read. Waits a moment for the last readings, once."""
        if not self.readings:
            self._settled(END_S)
            self.readings = {each.name: each.taken() for each in self._samplers}
        return self.readings

    def _settled(self, within_s: float) -> None:
        until = time.monotonic() + within_s
        for each in self._samplers:
            each.settle(max(until - time.monotonic(), 0.0))


class ServerWatch:
    """What is read of a server for as long as a run lasts."""

    def __init__(
        self,
        asked: Asked,
        model: ServedModel | None,
        interval_s: float = INTERVAL_S,
        sampler: Callable[..., Sampler] = Sampler,
    ):
        """`model`: as the server described it; None: it is not known what it can tell."""
        # Servers of language models tell of themselves beside their API, mostly: that is tried.
        self.stated = bool(asked.metrics_url)
        asked = replace(asked, metrics_url=asked.metrics_url or _usual(asked))
        self._asked = asked
        self.metrics_url = public(asked.metrics_url)
        self.wanted = Wanted(asked.metrics or WELL_KNOWN, asked.address().model)
        self.chosen = bool(asked.metrics)
        self.no_statistics = no_statistics(asked, model)
        self._samplers: list[Sampler] = []
        if not self.no_statistics:
            self._samplers.append(sampler("statistics", lambda: StatisticsProbe(asked), interval_s))
        if asked.metrics_url:
            self._samplers.append(
                sampler("metrics", lambda: MetricsProbe(asked, self.wanted), interval_s)
            )

    def watching(self) -> Watched:
        """For one case; one after the other."""
        return Watched(self._samplers)

    def probe(self, names: Sequence[str]) -> MetricsProbe | None:
        """What reads these metrics when it is told to; None where nobody knows where they are."""
        if not self._asked.metrics_url:
            return None
        return MetricsProbe(self._asked, Wanted(names, self._asked.address().model))

    def close(self) -> None:
        for each in self._samplers:
            each.close()


def _usual(asked: Asked) -> str:
    """Where such a server has its metrics, if nobody says where; "" where that is not known."""
    address = asked.address()
    if not address.scheme.startswith("openai+"):
        return ""
    return f"{'https' if address.tls else 'http'}://{address.authority}/metrics"


def no_statistics(asked: Asked, model: ServedModel | None) -> str:
    """Why the server's statistics are not read; "" where they are."""
    scheme = asked.address().scheme
    if not scheme.startswith("kserve+"):
        return f"{scheme}:// has no statistics"
    if model is not None and STATISTICS not in model.extensions:
        who = model.server_name or "the server"
        return f"{who} does not announce the extension {STATISTICS!r}"
    return ""
