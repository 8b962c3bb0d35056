"""What holds for every test: none writes to the real history, no property test is timed, and what
the tests start finds our modules compiled.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, settings

# One profile for every property test. The first run on a machine builds hypothesis' character
# tables inside a test, and a busy machine is slow anywhere: neither may fail a test, so nothing
# here is timed. CI draws the same examples every time; a developer's machine looks for new ones.
settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Ctrl-C ends what tests start, also where a shell that started this as a background job had it
    ignored.

    Where PYTHONDONTWRITEBYTECODE is set, as in many containers, bytecode goes to a folder of
    this session: else each of the hundreds of processes compiles all that it imports.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput") or not sys.dont_write_bytecode:
        return  # a worker of xdist inherits the folder
    folder = tempfile.mkdtemp(prefix="qs-bytecode-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = folder
    sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """The collector of garbage need not look through thousands of collected tests each time: what
    is measured in this process collects often.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def hangups_are_heard():
    """SIGHUP as a terminal's programs take it, also by what the test starts: under nohup it is
    ignored.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session", autouse=True)
def own_history(tmp_path_factory):
    """QS_DATA for this process and all that it starts; and no picture of each run's comparison,
    which takes as long as the rest of a short run.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QS_DATA", str(tmp_path_factory.mktemp("qs-data")))
        patch.setenv("QS_RUN_NO_PICTURE", "1")
        yield
