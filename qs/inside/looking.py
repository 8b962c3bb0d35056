"""Looks at answers that the engine shows: one without outputs is none, and what it took is not a
measurement.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qs.engine import UNANSWERED, UnfinishedAnswer, look
from qs.inside.started import Start, Together, still
from qs.tensors.outputs import NOTED, no_outputs


class NoOutput(UnfinishedAnswer):
    """The first answer of predict holds no output: there is nothing to be measured."""


# Started requests, of which one is looked at; sooner at first, so that the last one looked at
# is never far from the end: EARLY of those before it.
EVERY, EARLY = 1024, 1 / 8
KEPT, KEPT_BYTES = 16, 1 << 16  # answers of started requests that wait to be looked at
NO_ARRAYS = ", which holds no output; let it return its outputs' arrays"


class Looking:
    """Looks at the answers that the engine shows it: of each instance the first, and one now and
    then. Without outputs, the first raises NoOutput; a later one is noted in the case's folder,
    since what was measured before it is kept.
    """

    def __init__(
        self,
        folder: str | None,
        instance: int,
        lists: bool,
        outputs_of: Callable[[Any], Any] | None = None,
    ) -> None:
        """`outputs_of` reads answers that are calls of a server."""
        self._folder, self._instance, self._lists = folder, instance, lists
        self._outputs_of = outputs_of
        self._seen = self._noted = False
        self.last: Any = UNANSWERED
        self._waiting: deque[Any] = deque(maxlen=KEPT)  # beside the last one, which may be large
        self.then: Callable[[], None] = lambda: None

    def end(self) -> None:
        """After a worker's last request. Of coroutines the engine shows the first answer only; so
        the last is looked at here.
        """
        for answer in self._waiting:
            self(answer)
        self(self.last)
        self.then()

    def begin(self) -> None:
        """Before a worker's first measured request: of started requests the engine shows none."""
        if self._outputs_of is not None:
            self(self.last)
            self._waiting.clear()

    def glancing(self, start: Start) -> Start:
        """`start` of started requests, of which one now and then is kept to be looked at."""
        left = made = 0

        def begin(request: Any, done: Callable[[Any], None]) -> Any:
            nonlocal left
            left -= 1
            if left > 0:
                return start(request, done)

            def ended(call: Any) -> None:
                nonlocal left, made
                if call.failure is None:
                    left = min(EVERY, 1 + int(EARLY * made))
                    made += left
                    self._keep(call)
                done(call)

            return start(request, ended)

        return begin

    def _keep(self, call: Any) -> None:
        size = 0
        for part in self._answers(call):
            size += len(getattr(still(part), "body", None) or b"")
        if size <= KEPT_BYTES:
            self._waiting.append(call)
        self.last = call

    def __call__(self, answer: Any) -> None:
        if answer is UNANSWERED or self._noted:
            return
        seen = self._seen
        for each in self._answers(answer):
            if self._outputs_of is not None and each.failure is not None:
                continue  # counted as what it is
            fault = self._fault(each)
            if fault is None:
                seen = True
                continue
            if not self._seen or self._folder is None:
                raise NoOutput(fault if self._outputs_of else f"{fault}{NO_ARRAYS}")
            self._noted = True
            text = fault if self._outputs_of else f"{fault}, which holds no output"
            Path(self._folder, NOTED.replace("*", str(self._instance))).write_text(text)
        self._seen = seen

    def _answers(self, answer: Any) -> list[Any]:
        if self._lists and isinstance(answer, Together):
            return answer.parts
        return answer if self._lists and isinstance(answer, list) else [answer]

    def _fault(self, answer: Any) -> str | None:
        if self._outputs_of is None:
            look(answer)
            return no_outputs(answer)
        try:
            return no_outputs(self._outputs_of(answer))
        except Exception as error:  # a server may have answered anything
            return f"an answer that cannot be read: {' '.join(str(error).split())}"
