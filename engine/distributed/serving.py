"""A node process: `python -m qs.engine.distributed.serving`. It reads from its standard input, as
one line of JSON, which node it is and where its driver listens, connects there, and does what it is
told until its driver, or its standard input, ends.
"""

from __future__ import annotations

import sys

from qs.engine.distributed.places import Where


def main() -> int:
    """Serve until the end; returns the exit status."""
    Where.of(sys.stdin.buffer.readline())
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(main())
