"""ByteMLPerf's command line on qs: `python launch.py --task T --hardware_type H` is `qs run` with
the same options.

--show_task_list and --show_hardware_list list and end, as they do there. Every option of `qs run`
is taken.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

LISTS = ("--show_task_list", "--show_hardware_list")


def arguments_of(given: Sequence[str]) -> list[str]:
    """The arguments of `qs` that mean the same."""
    for option in given:
        if option.replace("-", "_").replace("__", "--", 1) in LISTS:
            return [option]
    return ["run", *given]


if __name__ == "__main__":
    sys.argv[1:] = arguments_of(sys.argv[1:])
    from qs.__main__ import main

    sys.exit(main())
