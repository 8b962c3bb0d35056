"""The entry of `python -m qs` and of the installed command `qs`. It only hands over to qs.cli."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line on sys.argv and end the process with its exit status."""
    _be_the_package()
    from qs.base import streams

    streams.keep_going()
    from qs.base.console import wrap_streams

    wrap_streams()  # for a bug's traceback too, which is printed after the command
    from qs.cli.commands import MEASURING, USER_ERROR, VALID
    from qs.cli.main import run_command_line

    arguments = sys.argv[1:]
    status = run_command_line(arguments)
    lost = streams.lost_output()
    if lost is not None:
        print(f"error: standard output was lost: {lost}", file=sys.stderr)
        # What a run has found out stands; what another command was to print is not there.
        if status == VALID and not MEASURING & set(arguments[:1]):
            status = USER_ERROR
    sys.exit(status)


def _be_the_package() -> None:
    """Take the name `qs` back from a folder of that name in the working directory.

    Python looks there first under `-m`. A folder `qs/` without an `__init__.py` (somebody's files,
    or a clone of this repository) then becomes the package `qs`; an editable install, which is
    searched last, lends it nothing but submodules.
    """
    if getattr(sys.modules.get("qs"), "__file__", None) is not None:
        return
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    folder = Path(__file__).resolve().parent
    spec = spec_from_file_location(
        "qs", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = module_from_spec(spec)
    sys.modules["qs"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    main()
