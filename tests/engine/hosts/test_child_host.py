"""A host in a child process: it answers, and whatever what lives in it does, the conductor gets a
named fault in bounded time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from qs.engine import (
    ChildHost,
    ClosedLoop,
    Factory,
    HostDied,
    HostError,
    HostTimeout,
    Pool,
    RunPlan,
    run_async,
)
from qs.engine.hosts.host import LocalHost
from qs.engine.record.memory import SharedMemory

THING = Factory("tests.fakes:Thing", {"word": "hi"})


def in_host(work, factory: Factory = THING, **options):
    """Run `await work(host)` in a new child host."""

    async def inside():
        async with ChildHost(factory, **options) as host:
            return await asyncio.wait_for(work(host), 60)

    return asyncio.run(inside())


def gone(pid: int) -> bool:
    """Whether a process has ended, within some seconds."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_calls_are_answered_and_the_process_ends_with_the_host():
    async def work(host):
        assert await host.call("say") == "hi"
        assert await host.call("say", suffix="!", deadline_s=30) == "hi!"
        value = {"a": [1, 2.5, None, True, b"b", "c"], "d": {"e": (1, 2)}}
        assert await host.call("echo", value=value) == value
        os.kill(host.pid, signal.SIGINT)  # Ctrl-C is the conductor's business
        big = b"x" * 20_000_000
        assert await host.call("echo", value=big) == big
        where = await host.call("where")
        assert where["pid"] == host.pid != os.getpid()
        assert where["executable"] == sys.executable
        return host

    host = in_host(work)
    assert gone(host.pid)
    assert not host.alive


def test_cwd_environment_and_log_are_as_told(tmp_path):
    log = tmp_path / "host.log"
    log.write_text("before\n")

    async def work(host):
        await host.call("flood", lines=1)
        return await host.call("where")

    where = in_host(work, cwd=tmp_path, env={"A_WORD": "said"}, log_path=log)
    assert log.read_text().startswith("before\na line that")
    assert os.path.samefile(where["cwd"], tmp_path)
    assert where["environ"]["A_WORD"] == "said"
    assert where["environ"]["PATH"] == os.environ["PATH"]


def test_what_raises_is_a_host_error_and_the_host_lives_on():
    async def work(host):
        for what in (
            "ValueError",
            "SystemExit",
            "StopIteration",
            "KeyboardInterrupt",
            "GeneratorExit",
        ):
            with pytest.raises(HostError) as caught:
                await host.call("misbehave", what=what)
            assert caught.value.kind == what
            assert "in misbehave" in caught.value.traceback
        with pytest.raises(HostError) as caught:
            await host.call("unprintable")
        assert caught.value.kind == "Unprintable"
        with pytest.raises(HostError) as caught:
            await host.call("no_such_method")
        assert caught.value.kind == "AttributeError"
        with pytest.raises(HostError) as caught:
            await host.call("say", wrong=1)
        assert caught.value.kind == "TypeError"
        assert await host.call("say") == "hi"

    in_host(work)


def test_only_plain_answers_come_back_and_the_host_lives_on():
    async def work(host):
        for what in ("array", "scalar", "object", "nested"):
            with pytest.raises(HostError, match="plain data"):
                await host.call("give", what=what)
        for what in ("lambda", "lock"):
            with pytest.raises(HostError, match="pickle"):
                await host.call("give", what=what)
        assert await host.call("say") == "hi"

    in_host(work)


@pytest.mark.parametrize(
    ("what", "exit", "logged"),
    [("exit", "exit status 3", ""), ("crash", "signal SIGSEGV", "Segmentation fault")],
)
def test_a_process_that_ends_says_how(what, exit, logged):
    async def work(host):
        await host.call("flood", lines=3)
        with pytest.raises(HostDied) as caught:
            await host.call("misbehave", what=what)
        assert caught.value.exit == exit
        assert exit in str(caught.value)
        assert "vendors like to print" in caught.value.log_tail
        assert logged in caught.value.log_tail
        with pytest.raises(HostDied):
            await host.call("say")

    in_host(work)


@pytest.mark.parametrize(
    "what", ["hang with the GIL", pytest.param("hang", marks=pytest.mark.slow)]
)
def test_a_hang_ends_at_its_deadline_with_its_process(what):
    async def work(host):
        began = time.monotonic()
        with pytest.raises(HostTimeout) as caught:
            await host.call("misbehave", what=what, deadline_s=0.3)
        assert time.monotonic() - began < 10
        assert (caught.value.what, caught.value.limit_s) == ("misbehave", 0.3)
        assert gone(host.pid)
        with pytest.raises(HostDied):
            await host.call("say")

    in_host(work)


def test_a_call_that_is_given_up_cannot_answer_the_next_one():
    """The late answer of a cancelled call was taken for the answer of the call after it."""

    async def work(host):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(host.call("misbehave", what="hang"), 0.2)
        with pytest.raises(HostDied):
            await host.call("say")
        assert gone(host.pid)

    in_host(work)


def test_prints_go_to_the_log_and_never_to_our_output(tmp_path, capfd):
    log = tmp_path / "host.log"

    async def work(host):
        assert await host.call("flood", lines=20_000) == 20_000
        return host.log_tail()

    tail = in_host(work, log_path=log)
    written = log.read_text()
    assert written.count("vendors like to print") == 20_000
    assert "past sys.stdout" in written
    assert "past sys.stderr" in written
    assert tail.endswith("past sys.stderr\n")
    assert len(tail) <= 4_000
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("factory", "kind"),
    [
        (Factory("tests.fakes:Broken", {"what": "SystemExit"}), "SystemExit"),
        (Factory("tests.no_such_module:Thing"), "ModuleNotFoundError"),
    ],
    ids=lambda value: None,
)
def test_an_object_that_cannot_be_built_is_a_host_error(factory, kind):
    async def work(host):
        raise AssertionError("not reached")

    with pytest.raises(HostError) as caught:
        in_host(work, factory)
    assert caught.value.kind == kind


def test_an_object_whose_building_ends_the_process():
    with pytest.raises(HostDied, match="exit status 3"):
        in_host(lambda host: None, Factory("tests.fakes:Broken", {"what": "exit"}))


def test_an_interpreter_that_does_not_exist_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="no-python"):
        in_host(lambda host: None, python=str(tmp_path / "no-python"))


def test_a_program_that_is_no_interpreter_is_named_with_what_it_said():
    with pytest.raises(HostDied) as caught:
        in_host(lambda host: None, python="/bin/false")
    assert caught.value.exit == "exit status 1"


def test_what_the_host_started_goes_with_it():
    async def work(host):
        return await host.call("start_sleeper")

    assert gone(in_host(work))


def test_another_interpreter_sees_our_package_and_its_own_path_only():
    """The same interpreter by another name stands for the one of a backend's own environment: our
    path is not its path.
    """
    names = {Path(sys.executable).with_name(name) for name in ("python", "python3")} - {
        Path(sys.executable)
    }
    other = next((name for name in sorted(names) if name.exists()), None)
    if other is None:
        pytest.skip("this interpreter has one name only")

    async def work(host):
        raise AssertionError("not reached")

    with pytest.raises(HostError) as caught:
        in_host(work, python=str(other))
    assert caught.value.kind == "ModuleNotFoundError"  # tests is none of the packages shown to it


# -- the same face in this process


def test_a_local_host_has_the_same_face():
    async def inside():
        async with LocalHost(THING, log_path="ignored") as host:
            assert await host.call("say", suffix="!") == "hi!"
            for what in ("ValueError", "SystemExit", "KeyboardInterrupt"):
                with pytest.raises(HostError) as caught:
                    await host.call("misbehave", what=what)
                assert caught.value.kind == what
                assert "in misbehave" in caught.value.traceback
            with pytest.raises(HostError) as caught:
                await host.call("unprintable")
            assert caught.value.kind == "Unprintable"
            with pytest.raises(HostError) as caught:
                await host.call("no_such_method")
            assert caught.value.kind == "AttributeError"
            with pytest.raises(HostTimeout) as timeout:
                await host.call("misbehave", what="hang", deadline_s=0.1)
            assert timeout.value.what == "misbehave"
            assert await host.call("say") == "hi"

    asyncio.run(inside())


def test_a_local_object_that_cannot_be_built():
    async def inside():
        async with LocalHost(Factory("tests.fakes:Broken", {"what": "SystemExit"})):
            raise AssertionError("not reached")

    with pytest.raises(HostError) as caught:
        asyncio.run(inside())
    assert caught.value.kind == "SystemExit"


def test_a_folder_that_is_gone_is_named(tmp_path):
    (tmp_path / "work").mkdir()
    host = ChildHost(THING, cwd=tmp_path / "work")
    (tmp_path / "work").rmdir()
    with pytest.raises(HostError, match="work, in which it is to work, is not there"):
        host.start()


@pytest.mark.parametrize("there", [True, False])
def test_a_log_is_never_written_through_a_link(tmp_path, there):
    theirs, log = tmp_path / "theirs", tmp_path / "log"
    if there:
        theirs.write_text("kept")
    log.symlink_to(theirs)
    with pytest.raises(OSError, match="log"):
        ChildHost(THING, log_path=log).start()
    assert theirs.exists() == there and (not there or theirs.read_text() == "kept")


def test_what_has_left_its_session_and_its_parent_ends_with_the_host():
    async def work(host):
        return await host.call("start_daemon")

    assert gone(in_host(work))


def test_so_it_does_when_the_host_has_died():
    async def inside():
        host = ChildHost(THING)
        host.start()
        await host.build()
        daemon = await host.call("start_daemon")
        with pytest.raises(HostDied):
            await host.call("misbehave", what="kill")
        await host.close()
        return daemon

    assert gone(asyncio.run(inside()))


def test_what_is_printed_never_goes_into_what_is_measured():
    """With the standard descriptors closed, shared memory became one of them."""

    async def inside():
        async with ChildHost(THING) as host:
            await host.call("close_standard")
            plan = RunPlan(ClosedLoop(iterations=20), pool=Pool("thread"))
            result = await run_async(plan, host.target("make_printing"))
            return result

    result = asyncio.run(inside())
    assert (result.completed, result.errors_by_kind, result.verdict) == (20, {}, "VALID")


def test_shared_memory_keeps_its_size():
    """One that shrinks kills whoever looks at it."""
    shared = SharedMemory(1, 16)
    for size in (0, 1 << 30):
        with pytest.raises(PermissionError):
            os.ftruncate(shared.fd, size)
    shared.close()


def test_descriptors_are_none_of_the_standard_ones():
    code = (
        "import os\n"
        "for fd in range(3): os.close(fd)\n"
        "from qs.engine import ClosedLoop, Pool, RunPlan, run\n"
        "from qs.engine.descriptors import anonymous_file\n"
        "from qs.engine.workers.queue import new_counter\n"
        "from tests.fakes import nothing\n"
        "found = [anonymous_file(8), new_counter()]\n"
        "plan = RunPlan(ClosedLoop(iterations=5), pool=Pool('process'))\n"
        "result = run(plan, nothing)\n"
        "os._exit(0 if min(found) > 2 and result.completed == 5 else 1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
