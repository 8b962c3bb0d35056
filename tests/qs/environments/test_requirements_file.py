"""Reading requirements.txt the way pip does."""

from __future__ import annotations

import pytest

from qs.base.errors import UserError
from qs.environments.requirements_file import read


def lines(tmp_path, content, **others):
    for name, text in others.items():
        (tmp_path / f"{name}.txt").write_text(text)
    path = tmp_path / "requirements.txt"
    path.write_text(content)
    return read(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        ("\n  \n# only a comment\n   # another\n", []),
        ("six", [(1, "six")]),
        ("\ufeffsix\r\n", [(1, "six")]),
        ("six # why\nsix#egg\n", [(1, "six"), (2, "six#egg")]),
        ("six \\\n  ==1.0\nnumpy", [(1, "six   ==1.0"), (3, "numpy")]),
        (
            "six==1.0 \\\n  --hash=sha256:ab \\\n  # the end\nnumpy",
            [(1, "six==1.0   --hash=sha256:ab"), (4, "numpy")],
        ),
        ("six \\", [(1, "six")]),
        ("# a comment \\\nsix", [(2, "six")]),
        ("-e .\n--pre", [(1, "-e ."), (2, "--pre")]),
        ("-r https://example.org/all.txt", [(1, "-r https://example.org/all.txt")]),
    ],
)
def test_lines(content, expected, tmp_path):
    assert [(line.number, line.text) for line in lines(tmp_path, content)] == expected


@pytest.mark.parametrize(
    "how",
    [
        "-r more.txt",
        "-rmore.txt",
        "--requirement more.txt",
        "--requirement=more.txt",
        '-r "more.txt"',
    ],
)
def test_included_files_stand_in_their_place(how, tmp_path):
    found = lines(tmp_path, f"a\n{how}\nd", more="b\nc")
    assert [line.text for line in found] == ["a", "b", "c", "d"]
    assert [line.file.name for line in found] == [
        "requirements.txt",
        "more.txt",
        "more.txt",
        "requirements.txt",
    ]
    assert not any(line.constraint for line in found)


@pytest.mark.parametrize("how", ["-c", "--constraint"])
def test_constraints_are_marked_and_so_is_what_they_include(how, tmp_path):
    found = lines(tmp_path, f"a\n{how} limits.txt", limits="b<2\n-r more.txt", more="c<3")
    assert [(line.text, line.constraint) for line in found] == [
        ("a", False),
        ("b<2", True),
        ("c<3", True),
    ]


def test_an_include_is_looked_for_beside_the_file_that_names_it(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.txt").write_text("-r two.txt")
    (tmp_path / "deep" / "two.txt").write_text("six")
    assert [line.text for line in lines(tmp_path, "-r deep/one.txt")] == ["six"]


def test_a_missing_include_names_both_files(tmp_path):
    with pytest.raises(
        UserError,
        match=r"nowhere\.txt \(included by .*requirements\.txt\): no such file",
    ):
        lines(tmp_path, "-r nowhere.txt")


def test_a_file_that_includes_itself_is_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"more\.txt: includes .*requirements\.txt, which includes it"
    ):
        lines(tmp_path, "-r more.txt", more="-r requirements.txt")


def test_two_includes_of_one_file_are_no_circle(tmp_path):
    assert len(lines(tmp_path, "-r more.txt\n-r more.txt", more="six")) == 2


def test_what_is_not_text_is_refused(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_bytes(b"\xff\xfe\x00six")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read(path)


def test_variables_are_expanded_but_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("INDEX_TOKEN", "secret")
    monkeypatch.delenv("NOT_SET", raising=False)
    found = lines(
        tmp_path, "--index-url https://${INDEX_TOKEN}@example.org\n${NOT_SET}\n$INDEX_TOKEN"
    )
    assert [line.expanded for line in found] == [
        "--index-url https://secret@example.org",
        "${NOT_SET}",
        "$INDEX_TOKEN",
    ]
    assert not any("secret" in str(line) for line in found)


def test_a_password_is_not_shown(tmp_path):
    (line,) = lines(tmp_path, "--index-url https://me:secret@example.org/simple")
    assert "secret" in line.expanded
    assert str(line) == "requirements.txt, line 1: --index-url https://****@example.org/simple"


def test_options_of_a_line_stand_apart(tmp_path):
    hashed, plain = lines(tmp_path, 'six==1.0 --hash=sha256:ab\nsix; python_version > "3"')
    assert (hashed.requirement, hashed.has_options) == ("six==1.0", True)
    assert (plain.requirement, plain.has_options) == ('six; python_version > "3"', False)
