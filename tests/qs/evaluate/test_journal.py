"""What lies on disk while a run goes on, after it was killed, and where the disk takes nothing."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.base.files import Lines, Unwritable
from qs.evaluate.journal import Journal
from qs.render.junit import junit
from qs.result.record import Record
from qs.result.result import Kind, Status
from qs.result.row import Mode, Row, Verdict
from qs.result.saved import read_result
from qs.result.story import story_of
from qs.watch.view import View
from tests.qs.results import read_result as checked

ROW = {"batch_size": 1, "items_per_s": 9.0, "mean_ms": 1.0, "p99_ms": None, "mode": Mode.QS}


class Heard(View):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def journal(folder: Path, kind: Kind = Kind.RUN, **more) -> Journal:
    record = Record("task", "HW", "model", ["qs", "run"], "0", kind=kind, **more)
    return Journal(record, folder, "fp32", Heard(), lambda result, place: b"<html>")


def add_row(made: Journal) -> None:
    made.record.rows.append(Row(**ROW, verdict=Verdict.VALID, reasons=[], warnings=[]))


def ended(folder: Path, precision: str = "fp32", kind: Kind = Kind.RUN) -> Journal:
    made = journal(folder, kind)
    made.start()
    made.compiled_to(precision)
    add_row(made)
    made.finish(Status.COMPLETE)
    return made


def verdicts(folder: Path) -> dict[str, str]:
    return {path.name: checked(path)["Verdict"] for path in sorted(folder.glob("*-*.json"))}


@pytest.mark.parametrize("kind", list(Kind))
def test_no_run_is_valid_before_its_end(tmp_path, kind):
    made = journal(tmp_path, kind)
    made.start()
    for step in (lambda: None, lambda: made.compiled_to("fp32"), lambda: add_row(made)):
        step()
        made.save()
        (verdict,) = verdicts(tmp_path).values()
        assert verdict == "INVALID"
        story = story_of(read_result(made.folder.result))
        assert "has not ended" in story.reasons[0].text
        assert b'failures="1"' in junit(story)
    made.finish(Status.COMPLETE)
    assert list(verdicts(tmp_path).values()) == ["VALID"]
    assert read_result(made.folder.result).reasons == []


def test_an_interrupted_run_is_not_valid_whatever_it_had_measured(tmp_path):
    made = journal(tmp_path)
    made.start()
    add_row(made)
    made.finish(Status.INTERRUPTED)
    found = read_result(made.folder.result)
    assert not found.valid and "interrupted" in found.own_reasons[0]
    assert found.performance[0].valid


@pytest.mark.parametrize("before", ["fp32", "fp16"])
def test_a_run_killed_while_it_compiles_leaves_no_result_of_the_run_before(tmp_path, before):
    ended(tmp_path, before)
    assert verdicts(tmp_path) == {f"result-{before}.json": "VALID"}
    killed = journal(tmp_path)
    killed.start()
    assert verdicts(tmp_path) == {"result-fp32.json": "INVALID"}
    assert not (tmp_path / "report.html").exists()
    killed.close()  # its process is gone


@pytest.mark.parametrize("times_killed", [0, 1, 2])
def test_results_of_other_precisions_come_back_once_the_precision_is_known(tmp_path, times_killed):
    ended(tmp_path, "int8")
    ended(tmp_path, "fp16")
    for _ in range(times_killed):
        killed = journal(tmp_path)
        killed.start()
        killed.close()
    made = journal(tmp_path)
    made.start()
    made.compiled_to("fp16")
    assert verdicts(tmp_path) == {"result-fp16.json": "INVALID", "result-int8.json": "VALID"}
    assert not list(tmp_path.glob("*.before"))
    made.finish(Status.COMPLETE)


def test_a_refusal_while_compiling_gives_back_what_it_does_not_replace(tmp_path):
    ended(tmp_path, "int8")
    made = journal(tmp_path)
    made.start()
    made.record.reasons.append("no")
    made.finish(Status.REFUSED)
    assert verdicts(tmp_path) == {"result-fp32.json": "INVALID", "result-int8.json": "VALID"}


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["tempfile.mkstemp", "os.fsync", "os.replace"])
def test_a_disk_that_fills_up_costs_no_run_and_is_told_once(tmp_path, monkeypatch, place):
    made = journal(tmp_path)
    made.start()
    made.compiled_to("fp32")
    add_row(made)
    monkeypatch.setattr(f"qs.base.files.{place}", full)
    for _ in range(3):
        made.save()
    result = made.finish(Status.COMPLETE)
    assert result.valid and len(result.performance) == 1
    assert set(made.unwritten) == {"result-fp32.json", "report.html"}
    assert all("No space left on device" in said for said in made.unwritten.values())
    assert len(made.view.warnings) == 2
    assert verdicts(tmp_path) == {"result-fp32.json": "INVALID"}  # as far as it was written


def test_what_could_be_written_in_the_end_is_whole(tmp_path, monkeypatch):
    made = journal(tmp_path)
    made.start()
    with monkeypatch.context() as patched:
        patched.setattr("qs.base.files.tempfile.mkstemp", full)
        made.save()
        assert made.unwritten
    made.finish(Status.COMPLETE)
    assert made.unwritten == {} and (tmp_path / "report.html").exists()


def test_lost_events_are_lost_for_good(tmp_path, monkeypatch):
    made = journal(tmp_path)
    made.start()
    with monkeypatch.context() as patched:
        patched.setattr("qs.base.files.os.write", full)
        made.event("one")
    made.finish(Status.COMPLETE)
    assert list(made.unwritten) == ["events.jsonl"]
    lines = (tmp_path / "events.jsonl").read_text().split("\n")
    assert [json.loads(line)["event"] for line in lines if line] == ["start", "end"]


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path, monkeypatch):
    lines, write, room = Lines(tmp_path / "a"), os.write, [4]

    def nearly_full(handle: int, content: bytes) -> int:
        if not room:
            full()
        return write(handle, content[: room.pop()])

    with monkeypatch.context() as patched:
        patched.setattr("qs.base.files.os.write", nearly_full)
        with pytest.raises(Unwritable):
            lines.add(b"first line")
    lines.add(b"second line")
    lines.close()
    lines.add(b"nothing happens")
    assert (tmp_path / "a").read_bytes() == b"firs\nsecond line\n"


def test_a_full_disk_before_the_start_is_one_message_and_the_old_result_stays(
    tmp_path, monkeypatch
):
    ended(tmp_path)
    made = journal(tmp_path)
    monkeypatch.setattr("qs.base.files.os.replace", full)
    with pytest.raises(UserError, match=r"result-fp32.json: cannot be written \(No space left"):
        made.start()
    made.close()
    assert not made.started
    assert verdicts(tmp_path) == {"result-fp32.json": "VALID"}


def test_two_runs_do_not_write_one_report_at_once(tmp_path):
    first, second = journal(tmp_path), journal(tmp_path)
    first.start()
    with pytest.raises(UserError, match="--out: another run writes its report"):
        second.start()
    assert not second.started
    second.close()
    first.compiled_to("fp16")
    add_row(first)
    first.finish(Status.COMPLETE)
    assert verdicts(tmp_path) == {"result-fp16.json": "VALID"}
    ended(tmp_path)


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
@pytest.mark.parametrize(
    "name", ["events.jsonl", "backend.log", "result-fp32.json", "report.html", "answers-fp32.json"]
)
def test_a_planted_link_is_replaced_and_its_target_kept(tmp_path, link, name):
    target, folder = tmp_path / "target", tmp_path / "report"
    target.write_text("mine")
    folder.mkdir()
    getattr(folder / name, link)(target)
    made = journal(folder, answers={"a": 1})
    made.start()
    made.note_in_log("said")
    made.finish(Status.COMPLETE)
    assert target.read_text() == "mine"
    assert (folder / name).is_file() and not (folder / name).is_symlink()
    assert made.unwritten == {}


def test_a_link_planted_while_it_runs_is_not_followed(tmp_path):
    target, folder = tmp_path / "target", tmp_path / "report"
    target.write_text("mine")
    made = journal(folder)
    made.start()
    made.log.symlink_to(target)
    made.note_in_log("said")
    made.finish(Status.COMPLETE)
    assert target.read_text() == "mine" and list(made.unwritten) == ["backend.log"]


def test_a_second_finish_changes_nothing(tmp_path):
    made = journal(tmp_path)
    made.start()
    made.finish(Status.COMPLETE)
    before = made.folder.result.read_bytes()
    made.finish(Status.INTERRUPTED)
    made.event("late")
    assert made.folder.result.read_bytes() == before


def test_strange_texts_are_kept_as_escapes_wherever_they_stand(tmp_path):
    odd = "odd \udcff"
    made = journal(tmp_path, answers={odd: 2**70}, found={"Task": odd}, host={odd: b"\xff"})
    made.record.command = ["qs", odd]
    made.record.compile_result = {"compile_status": odd, "optimizations": {odd: [2**70, odd]}}
    made.record.accuracy = {odd: 1.0, "Top-1": float("nan")}
    made.record.dataset = {"name": odd}
    made.start()
    made.warn(odd)
    made.event(odd, text=odd)
    made.record.failures.append({"Step": odd})
    made.record.reasons.append(odd)
    made.finish(Status.FAILED)
    assert made.unwritten == {}
    found = checked(made.folder.result)
    assert found["Reasons"] == ["odd \\udcff"] and found["Command"] == ["qs", "odd \\udcff"]
    assert found["Answers"] == {"odd \\udcff": 2.0**70}
    assert found["Graph Compile"]["Compile Status"] == "odd \\udcff"
    assert read_result(made.folder.result).warnings == ["odd \\udcff"]
