"""Digests of models that are folders."""

from __future__ import annotations

import os
import shutil

from qs.tensors.digest import digests_of


def test_a_folder_is_known_by_what_is_in_it(tmp_path):
    folder = tmp_path / "one"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    found = digests_of(folder)
    assert list(found) == ["one", "one/saved_model.pb", "one/variables/variables.index"]
    other = shutil.copytree(folder, tmp_path / "two")
    assert digests_of(other)["two"] == found["one"]  # whatever it is called
    os.rename(other / "variables", other / "moved")
    assert digests_of(other)["two"] != found["one"]
    os.rename(other / "moved", other / "variables")
    (other / "variables" / "variables.index").write_bytes(b"other")
    assert digests_of(other)["two"] != found["one"]


def test_names_that_are_not_utf_8(tmp_path):
    (tmp_path / "m").mkdir()
    with open(os.path.join(os.fsencode(tmp_path), b"m", b"\xff.pb"), "wb") as file:
        file.write(b"x")
    assert list(digests_of(tmp_path / "m")) == ["m", "m/\\udcff.pb"]
