"""The interpreter that the backend runs under: settled before anything is loaded, and written into
the report.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from qs.environments import Environment, interpreter_for
from qs.evaluate.prepare import Prepared


async def settle_environment(prepared: Prepared, say: Callable[[str], None]) -> Environment:
    """As --env asks; in our own process there is only our own. A cancellation ends an installation
    and leaves nothing of it.
    """
    mode = "current" if prepared.request.in_process else prepared.request.env
    stop = threading.Event()
    try:
        return await asyncio.to_thread(interpreter_for, prepared.backend.path, mode, say, stop)
    except asyncio.CancelledError:
        stop.set()
        raise


def described(environment: Environment) -> dict[str, Any]:
    """The report's section. `Key` is null for the interpreter that qs itself runs under; its
    packages stand in `Host`.
    """
    return {
        "Key": environment.key,
        "Interpreter": environment.python,
        "Created": environment.created,
        "Why": environment.why,
        "Packages": dict(environment.packages),
    }
