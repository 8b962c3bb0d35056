"""Open files: a connection is one, and the limit is seen to before the first is opened."""

from __future__ import annotations

import os
import resource

from qs.engine.wire.failures import WireError

# For what else the process opens meanwhile: logs, shared memory, the loop's own.
SPARE = 64


def allow_connections(count: int) -> None:
    """Raise the limit on open files to what the system allows this process. WireError if so many
    connections do not fit below it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS: no more than OPEN_MAX, whatever `hard` says
            pass
    if soft == resource.RLIM_INFINITY:
        return
    needed = count + _open_files() + SPARE
    if needed > soft:
        fit = max(soft - (needed - count), 0)
        raise WireError(
            f"{count:,} connections need {needed:,} open files, and this process may have "
            f"{soft:,} (ulimit -Hn): {fit:,} connections fit; ask for fewer, or raise the limit"
        )


def _open_files() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 32
