"""Asking a backend's telemetry(): when, in which thread, and what becomes of a faulty one."""

from __future__ import annotations

import json
import threading

import pytest

from qs import RuntimeBackend
from qs.inside import stating
from qs.inside.stating import Stating, stating_of, telemetry_of
from qs.telemetry.stated import FILE, read_stated

LONG_S = 60.0


class Plain(RuntimeBackend):
    """Has no telemetry of its own."""


class CopiedBase:
    """As a published copy of the base class would have it."""

    def telemetry(self):
        raise NotImplementedError


class Telling(RuntimeBackend):
    def __init__(self):
        self.calls, self.threads = 0, set()

    def telemetry(self):
        self.calls += 1
        self.threads.add(threading.current_thread())
        return {"power_w": 10.0 * self.calls}


def entries(folder):
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def asked(method, folder, workers=1):
    """One measured phase of so many workers."""
    found = Stating(method, folder, LONG_S)
    for _ in range(workers):
        found.begin_measuring()
    for _ in range(workers):
        found.end_measuring()
    return found


def test_who_has_telemetry():
    assert telemetry_of(Plain()) is None
    assert telemetry_of(object()) is None
    assert telemetry_of(Telling()) is not None


@pytest.mark.parametrize(
    ("interval_s", "folder", "instance"),
    [(None, "x", 0), (1.0, None, 0), (1.0, "x", 1)],
)
def test_nobody_is_asked(interval_s, folder, instance):
    assert stating_of(Telling(), interval_s, folder, instance) == []
    assert stating_of(Plain(), 1.0, "x") == []


def test_it_is_asked_at_the_beginning_and_at_the_end_in_a_thread_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(stating, "END_S", LONG_S)
    backend = Telling()
    asked(backend.telemetry, tmp_path, workers=3)
    assert backend.calls == 2
    assert threading.current_thread() not in backend.threads
    found = read_stated(tmp_path)
    assert list(found.log.values[0]) == [10.0, 20.0]
    assert found.log.cpu_ns > 0


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (RuntimeError("no card"), "telemetry(): RuntimeError: no card"),
        (SystemExit(3), "telemetry(): SystemExit: 3"),
        (ValueError("negative"), "telemetry(): negative"),
        ([1], "telemetry(): it returned list"),
        ({"power_w": float("nan")}, "telemetry(): power_w: nan is not allowed"),
        ({"power_w": object()}, "telemetry(): power_w: <object"),
    ],
)
def test_what_is_wrong_ends_it_with_the_reason(tmp_path, monkeypatch, answer, fault):
    monkeypatch.setattr(stating, "END_S", LONG_S)

    def telemetry():
        if isinstance(answer, BaseException):
            raise answer
        return answer

    asked(telemetry, tmp_path)
    assert read_stated(tmp_path).log.fault.startswith(fault)
    assert read_stated(tmp_path).log.channels == ()


def test_a_copy_of_the_base_class_has_nothing_to_say(tmp_path, monkeypatch):
    monkeypatch.setattr(stating, "END_S", LONG_S)
    asked(CopiedBase().telemetry, tmp_path)
    assert read_stated(tmp_path) is None


def test_one_that_hangs_is_given_up_and_the_case_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(stating, "END_S", 0.01)
    release, called = threading.Event(), threading.Event()

    def telemetry():
        called.set()
        release.wait(LONG_S)
        return {"power_w": 1}

    found = Stating(telemetry, tmp_path, LONG_S)
    found.begin_measuring()
    thread = found._asking._thread
    assert called.wait(LONG_S)
    found.end_measuring()
    assert "gave no answer for" in read_stated(tmp_path).log.fault
    release.set()
    thread.join(LONG_S)
    assert len(entries(tmp_path)) == 1  # what it says later counts for nothing


def test_it_ends_by_itself_when_the_case_is_over_and_its_folder_gone(tmp_path):
    called = threading.Semaphore(0)

    def telemetry():
        called.release()
        return {"power_w": 1}

    folder = tmp_path / "case"
    found = Stating(telemetry, folder, LONG_S)  # there is no such folder
    found.begin_measuring()
    thread = found._asking._thread
    thread.join(LONG_S)
    assert not thread.is_alive()
    found.end_measuring()
