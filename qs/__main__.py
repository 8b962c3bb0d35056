"""The entry of `python -m qs` and of the installed command `qs`. It only hands over to qs.cli."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line on sys.argv and end the process with its exit status."""
    from qs.cli.main import run_command_line

    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
