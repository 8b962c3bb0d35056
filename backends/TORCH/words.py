"""torch's errors in one sentence."""

from __future__ import annotations

MOST = 300


def sentence(error: BaseException) -> str:
    """The line of an error that says what happened: errors of TorchScript end with it, after the
    lines of its code; others begin with it.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    last = [line for line in lines if line.startswith(("RuntimeError: ", "IndexError: "))]
    said = last[-1].partition(": ")[2] if last else lines[0]
    said = said.split(". This is an internal miniz error")[0]
    return said if len(said) <= MOST else f"{said[:MOST]}..."
