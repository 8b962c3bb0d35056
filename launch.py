"""ByteMLPerf's command line for qs: `python launch.py --task T --hardware_type H` is `qs run` with
the same options.

--show_task_list and --show_hardware_list print a list and exit, as in ByteMLPerf. All options of
`qs run` work.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

LISTS = ("--show_task_list", "--show_hardware_list")


def arguments_of(given: Sequence[str]) -> list[str]:
    """The equivalent arguments of `qs`."""
    for option in given:
        if option.replace("-", "_").replace("__", "--", 1) in LISTS:
            return [option]
    return ["run", *given]


if __name__ == "__main__":
    sys.argv[1:] = arguments_of(sys.argv[1:])
    from qs.__main__ import main

    sys.exit(main())
