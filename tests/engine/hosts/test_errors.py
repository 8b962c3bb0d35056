"""What is kept of an exception that a host raised."""

from __future__ import annotations

import asyncio
import sys

import pytest

from qs.engine import Factory, HostError
from qs.engine.hosts.child_host import ChildHost
from qs.engine.hosts.host import LocalHost


class Mistake(ValueError):
    pass


class Service:
    def fail(self) -> None:
        raise Mistake("no such thing")


class SameName:
    """Whose class name is all that it shares."""

    class Mistake(Exception):
        pass


@pytest.mark.parametrize("kind", [LocalHost, ChildHost])
def test_its_class_is_known_whatever_process_raised_it(kind):
    async def work() -> HostError:
        factory = Factory("tests.engine.hosts.test_errors:Service")
        host = (
            LocalHost(factory) if kind is LocalHost else ChildHost(factory, python=sys.executable)
        )
        async with host:
            with pytest.raises(HostError) as raised:
                await host.call("fail")
            return raised.value

    error = asyncio.run(work())
    assert (error.kind, error.message) == ("Mistake", "no such thing")
    assert "raise Mistake" in error.traceback
    assert error.is_a(Mistake) and error.is_a(ValueError)
    assert not error.is_a(SameName.Mistake) and not error.is_a(KeyError)
