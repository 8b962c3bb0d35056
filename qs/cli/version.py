"""`qs version`: what a report of a fault begins with. Nothing is imported to find it out."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

import click

from qs import __version__
from qs.cli.commands import VALID
from qs.cli.helping import Command

# Distributions of ONNX Runtime; whichever is installed has the module.
_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


def versions() -> dict[str, str | None]:
    """Name -> version; None for what is not installed."""
    runtime = next(filter(None, map(_installed, _RUNTIMES)), None)
    return {
        "qs": __version__,
        "Python": platform.python_version(),
        "ONNX Runtime": runtime,
        "numpy": _installed("numpy"),
        "platform": platform.platform(),
        "interpreter": sys.executable,
    }


def one_line() -> str:
    """What `qs --version` prints."""
    found = versions()
    runtime = found["ONNX Runtime"] or "none"
    return (
        f"qs, version {found['qs']} (Python {found['Python']}, ONNX Runtime {runtime}, "
        f"{found['platform']})"
    )


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@click.command("version", cls=Command, short_help="Show the versions that a report states.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on standard output.")
def command(as_json: bool) -> int:
    """Show the versions of qs, Python, ONNX Runtime and numpy, and the platform.

    \b
    Examples:
      qs version
      qs version --json
    """
    found = versions()
    if as_json:
        from qs.base.console import print_json

        print_json(found)
        return VALID
    for name, version in found.items():
        click.echo(f"{name:<12}  {version or 'not installed'}")
    return VALID
