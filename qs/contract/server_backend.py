"""A backend whose requests are started: of a server, or of any device that answers by callback.

A runtime backend that has the three methods of `StartedBackend` beside its `predict` is driven by
them in the measured phase: a case's batches become requests once, before it; each request is
started on an event loop and brings its own stamps; answers are read outside of it. The other
methods named here are optional. `predict` serves everything that is not timed by the engine:
accuracy, agreement with the reference, the idle answers of --verify, `qs check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

NEEDED = ("request_of", "start", "outputs_of")
OPTIONAL = ("ask", "open", "close", "counts", "diverted", "reader", "conversations_of")


class StartedBackend(Protocol):
    """What such a backend has beside what every runtime backend has.

    Optional: `async open(clients)`, awaited on the loop before the warm-up: connect here. `clients`
    is how many requests may be on their way at a time, as far as the plan says; 0: it does not.
    `async close()`, awaited after the measured phase. Both may be called again, on another loop,
    with `load` in between. `counts()`: whole numbers by name that were counted meanwhile, for the
    report. `begin_measuring()` and `end_measuring()`, called on the loop around the measured phase.

    Also optional: `ask(request)`, which blocks and returns the call: pools of threads and processes
    are then given requests too. Without it they drive `predict`. Clients call it from their own
    threads at the same time.

    `reader()`: what reads the calls of a case's requests when nothing is measured any more, any
    number at a time (`engine/measures/measure.py`): a Reader; None: nothing is read.

    `conversations_of(requests)`: the requests, in their order, as samples of the engine's load
    Sessions: each has `turns()`, and `requests`, those of its turns.

    `diverted(port)`: another such backend, with the same model, whose requests go to that port of
    this machine, without TLS. There a server answers at once with what `ask` brought (`head` and
    `body` of its call, `head` being "" of gRPC): what the client costs by itself is then measured.
    """

    def request_of(self, data: Any) -> Any:
        """One batch as a request, ready to be sent any number of times. `data` is what `predict`
        is given. Called once a batch, before anything is measured.
        """
        ...

    def start(self, request: Any, done: Callable[[Any], None]) -> Any:
        """Hand the request to the network and return its call, an `engine.call.Call`, at once;
        `done(call)` is called once, on the loop's thread, when it has ended. A request that fails
        is a call with a `failure`: raising here ends the run.
        """
        ...

    def outputs_of(self, call: Any) -> Mapping[str, Any]:
        """The outputs in the answer of a call that has not failed, as `predict` returns them.
        Raises what it likes for an answer that is none.

        Called where nothing is timed. What it reads has to be there when `done` has returned too.
        A `body` that is a memoryview need not: whoever reads later puts a copy in its place. Where
        a call has a `body` of bytes, equal bodies are taken for equal answers.
        """
        ...


def is_started(backend: Any) -> bool:
    """Whether the requests of this backend, an object or its class, can be started."""
    return not missing(backend)


def missing(backend: Any) -> list[str]:
    """Which of the methods that it would need it does not have."""
    return [name for name in NEEDED if not callable(getattr(backend, name, None))]
