"""A log stays small while a process appends to it."""

from __future__ import annotations

import pytest

from qs.environments import log as log_cap


def test_head_and_tail_stay_and_the_writer_goes_on_at_the_end(tmp_path):
    path = tmp_path / "log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"first\n" + b"x" * log_cap.MOST_BYTES + b"last\n")
        assert log_cap.shorten(path)
        writer.write(b"after\n")
    text = path.read_bytes()
    assert text.startswith(b"first\n") and text.endswith(b"last\nafter\n")
    assert len(text) < log_cap.HEAD_BYTES + log_cap.TAIL_BYTES + 200
    left_out = (
        len(b"first\n" + b"last\n") + log_cap.MOST_BYTES - log_cap.HEAD_BYTES - log_cap.TAIL_BYTES
    )
    assert b"[... %d bytes are left out here ...]" % left_out in text


def test_a_small_log_and_none_are_left_alone(tmp_path):
    path = tmp_path / "log"
    assert not log_cap.shorten(path)
    path.write_bytes(b"x" * 1000)
    assert not log_cap.shorten(path)
    assert path.stat().st_size == 1000


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_planted_link_is_not_followed(tmp_path, link):
    target, path = tmp_path / "target", tmp_path / "log"
    with target.open("wb") as file:
        file.truncate(log_cap.MOST_BYTES + 1)
    getattr(path, link)(target)
    assert not log_cap.shorten(path)
    assert target.stat().st_size == log_cap.MOST_BYTES + 1


def test_a_link_in_a_logs_place_is_removed_and_its_target_kept(tmp_path):
    target, log = tmp_path / "target", tmp_path / "log"
    target.write_text("theirs")
    log.symlink_to(target)
    assert not log_cap.unlinked(log).is_symlink() and target.read_text() == "theirs"
    log.write_text("ours")
    assert log_cap.unlinked(log).read_text() == "ours"
