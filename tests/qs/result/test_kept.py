"""Runs do not overwrite each other: the newest lies at the published path, the earlier ones beside
it, each whole.
"""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from qs.base.errors import UserError
from qs.evaluate.journal import Journal
from qs.render.html.index_page import reports_page
from qs.result.folder import ReportFolder
from qs.result.kept import is_kept, kept_runs, now_at
from qs.result.record import Record
from qs.result.result import Kind, Status
from qs.result.row import Mode, Row, Verdict
from qs.result.saved import read_result
from qs.watch.view import View

FIRST = datetime(2026, 11, 29, 11, 32, tzinfo=timezone.utc)


class Heard(View):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def journal(folder: Path, minutes: int, kind: Kind = Kind.RUN, **more) -> Journal:
    record = Record("task", "HW", "model", ["qs", kind], "0", kind=kind)
    record.started = FIRST + timedelta(minutes=minutes)

    def page(result, place: Path) -> bytes:
        return result.started.encode()

    return Journal(record, folder, "fp32", Heard(), page, **more)


def run(
    folder: Path, minutes: int, precision: str = "fp32", kind: Kind = Kind.RUN, **more
) -> Journal:
    """A run from start to end, as qs.evaluate does it, with one log of response times."""
    made = journal(folder, minutes, kind, **more)
    made.start()
    made.compiled_to(precision)
    log = made.folder.histogram("1")
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    log.write_text(made.record.started.isoformat())
    made.folder.compile_result.unlink(missing_ok=True)
    made.folder.compile_result.write_text(made.record.started.isoformat())
    made.keep_answers({"asked": minutes}, {"asked": "default"})
    row = {"batch_size": 1, "items_per_s": 9.0, "mean_ms": 1.0, "p99_ms": None, "mode": Mode.QS}
    made.record.rows.append(
        Row(**row, histogram=f"latency/{log.name}", verdict=Verdict.VALID, reasons=[], warnings=[])
    )
    made.finish(Status.COMPLETE)
    return made


def names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


WHOLE = [
    "answers-fp32.json",
    "compile-fp32.json",
    "events.jsonl",
    "latency/fp32-1.hlog",
    "report.html",
    "result-fp32.json",
]


def test_the_newest_is_at_the_published_path_and_the_one_before_whole_beside_it(tmp_path):
    first, second = run(tmp_path, 0), run(tmp_path, 7)
    kept = tmp_path / "runs" / "2026-11-29T11-32-00Z"
    assert names(tmp_path) == sorted([*WHOLE, *(f"runs/{kept.name}/{name}" for name in WHOLE)])
    for folder, made in ((kept, first), (tmp_path, second)):
        started = made.record.started.isoformat()
        assert read_result(folder / "result-fp32.json").started == started
        for name in ("report.html", "latency/fp32-1.hlog", "compile-fp32.json"):
            assert (folder / name).read_text() == started, name
        # what the result names lies where it says, so the links of its page work
        (row,) = read_result(folder / "result-fp32.json").performance
        assert (folder / row.histogram).read_text() == started
    assert first.view.lines == []
    assert second.view.lines == [f"the run before is kept in {kept}"]


def test_what_a_data_set_and_a_user_left_moves_along_and_work_stays(tmp_path):
    run(tmp_path, 0)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "engine.bin").write_text("built")
    (tmp_path / "predictions.npy").write_text("of the first run")
    (tmp_path / "report.pdf").write_text("of the first run")
    run(tmp_path, 1)
    (kept,) = kept_runs(ReportFolder(tmp_path, "fp32"))
    assert (kept / "predictions.npy").exists() and (kept / "report.pdf").exists()
    assert not (tmp_path / "predictions.npy").exists()
    assert (tmp_path / "work" / "engine.bin").exists() and not (kept / "work").exists()


def test_kinds_keep_out_of_each_others_way(tmp_path):
    for minutes, kind in enumerate((Kind.RUN, Kind.SWEEP, Kind.NUMERIC, Kind.LOAD, Kind.SWEEP)):
        run(tmp_path, minutes, kind=kind)
    at_the_top = [name for name in names(tmp_path) if not name.startswith("runs/")]
    assert {"report.html", "sweep.html", "numeric.html"} <= set(at_the_top)
    assert {"events.jsonl", "events.sweep.jsonl", "events.numeric.jsonl"} <= set(at_the_top)
    kinds = [
        [read_result(path).kind for path in sorted([*kept.glob("result-*"), *kept.glob("sweep-*")])]
        for kept in sorted((tmp_path / "runs").iterdir())
    ]
    assert [str(kind) for found in kinds for kind in found] == ["run", "sweep"]
    for kept, page in zip(sorted((tmp_path / "runs").iterdir()), ("report.html", "sweep.html")):
        assert [path.name for path in kept.glob("*.html")] == [page]


def test_a_result_of_another_precision_stays_and_is_kept_whole_with_its_page(tmp_path):
    first = run(tmp_path, 0, "int8")
    run(tmp_path, 1, "fp16")
    kept = tmp_path / "runs" / "2026-11-29T11-32-00Z"
    assert (tmp_path / "result-int8.json").exists() and (tmp_path / "result-fp16.json").exists()
    assert (tmp_path / "latency" / "int8-1.hlog").exists()
    assert (kept / "report.html").read_text() == first.record.started.isoformat()
    assert (kept / "result-int8.json").exists() and (kept / "latency" / "int8-1.hlog").exists()
    run(tmp_path, 2, "int8")
    found = {each.name: names(each) for each in kept_runs(ReportFolder(tmp_path, ""))}
    assert sorted(found) == ["2026-11-29T11-32-00Z", "2026-11-29T11-33-00Z"]
    assert "result-fp16.json" in found["2026-11-29T11-33-00Z"]
    page, unread = reports_page(tmp_path)
    # three runs, three lines: what lies in two places is told once
    assert page.decode().count('data-kind="run"') == 3 and unread == []


@pytest.mark.parametrize("dies_at", range(1, 9))
def test_a_crash_in_between_loses_nothing(tmp_path, monkeypatch, dies_at):
    """The program ends at each of the steps that keep the run before, as by kill -9."""
    folder = tmp_path / "report"
    run(folder, 0)
    before = {name: (folder / name).read_bytes() for name in names(folder)}

    class Killed(BaseException):
        pass

    steps = iter(range(1, 100))

    def dying(real):
        def call(*arguments, **named):
            if next(steps) == dies_at:
                raise Killed
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        patched.setattr("qs.result.kept.os.link", dying(os.link))
        patched.setattr("qs.result.kept.Path.rename", dying(Path.rename))
        patched.setattr("qs.result.kept.Keeping.undo", lambda self: None)  # a crash undoes nothing
        killed = journal(folder, 1)
        try:
            killed.start()
        except Killed:
            pass
        killed.close()
    run(folder, 2)
    kept = folder / "runs" / "2026-11-29T11-32-00Z"
    assert {name: (kept / name).read_bytes() for name in before} == before
    assert read_result(folder / "result-fp32.json").started.startswith("2026-11-29T11:34")


def test_a_run_that_cannot_begin_leaves_all_as_it_was(tmp_path, monkeypatch):
    run(tmp_path, 0)
    before = names(tmp_path)
    with monkeypatch.context() as patched:

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        patched.setattr("qs.base.files.os.replace", full)
        made = journal(tmp_path, 1)
        with pytest.raises(UserError, match="cannot be written"):
            made.start()
        made.close()
    assert [name for name in names(tmp_path) if name != "events.jsonl"] == [
        name for name in before if name != "events.jsonl"
    ]
    assert read_result(tmp_path / "result-fp32.json").started == FIRST.isoformat()


def test_a_disk_without_hard_links_keeps_copies(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError

    monkeypatch.setattr("qs.result.kept.os.link", refused)
    run(tmp_path, 0)
    run(tmp_path, 1)
    (kept,) = kept_runs(ReportFolder(tmp_path, "fp32"))
    assert names(kept) == WHOLE


def test_runs_of_one_second_are_told_apart(tmp_path):
    for _ in range(3):
        run(tmp_path, 0)
    kept = kept_runs(ReportFolder(tmp_path, "fp32"))
    # the very same result twice is one run
    assert [each.name for each in kept] == ["2026-11-29T11-32-00Z"]
    made = journal(tmp_path, 0)
    made.record.reasons.append("another")
    made.start()
    made.compiled_to("fp32")
    made.finish(Status.COMPLETE)
    run(tmp_path, 1)
    assert [each.name for each in kept_runs(ReportFolder(tmp_path, "fp32"))] == [
        "2026-11-29T11-32-00Z",
        "2026-11-29T11-32-00Z-2",
    ]


def test_as_many_are_kept_as_was_asked_for_and_what_is_removed_is_said(tmp_path):
    for minutes in range(4):
        run(tmp_path, minutes)
    run(tmp_path, 4, kind=Kind.SWEEP)
    run(tmp_path, 5, kind=Kind.SWEEP)
    (tmp_path / "runs" / "mine").mkdir()
    last = run(tmp_path, 6, most_kept=2)
    assert last.view.lines[-1] == "--keep 2: removed 2 earlier runs"
    kept = sorted(each.name for each in (tmp_path / "runs").iterdir())
    assert kept == [
        "2026-11-29T11-34-00Z",
        "2026-11-29T11-35-00Z",
        "2026-11-29T11-36-00Z",  # the sweep
        "mine",
    ]
    assert len(kept_runs(ReportFolder(tmp_path, "fp32", Kind.SWEEP))) == 1


def test_a_sweep_that_goes_on_keeps_nothing_aside(tmp_path):
    run(tmp_path, 0, kind=Kind.SWEEP)
    run(tmp_path, 1, kind=Kind.SWEEP, going_on=True)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_was_killed_before_it_measured_is_not_kept(tmp_path):
    killed = journal(tmp_path, 0)
    killed.start()
    killed.close()
    run(tmp_path, 1)
    assert not (tmp_path / "runs").exists()


def test_a_planted_link_is_not_followed(tmp_path):
    target, folder = tmp_path / "target", tmp_path / "report"
    target.mkdir()
    run(folder, 0)
    (folder / "runs").symlink_to(target)
    run(folder, 1)
    assert list(target.iterdir()) == []
    assert len(kept_runs(ReportFolder(folder, "fp32"))) == 1


def test_where_a_result_is_now(tmp_path):
    first, second = run(tmp_path, 0), run(tmp_path, 1)
    path = tmp_path / "result-fp32.json"
    kept = tmp_path / "runs" / "2026-11-29T11-32-00Z" / path.name
    assert now_at(path, second.record.started.isoformat()) == path and not is_kept(path)
    assert now_at(path, first.record.started.isoformat()) == kept and is_kept(kept)
    shutil.rmtree(tmp_path / "runs")
    assert now_at(path, first.record.started.isoformat()) is None
