"""Whether an environment has what is asked for: real distributions in a folder, found by
importlib.metadata.
"""

from __future__ import annotations

import re
from importlib import metadata

import pytest

from qs.environments.requirements_file import read
from qs.environments.satisfied import unmet

# name -> version and what it needs
INSTALLED = {
    "alone": ("1.5", []),
    "Mixed.Case": ("2.0rc1", []),
    "top": (
        "1.0",
        [
            "alone>=1",
            'absent; extra == "more"',
            'alone<1; extra == "strict"',
            'absent; python_version < "3"',
        ],
    ),
    "broken": ("1.0", ["alone>=2"]),
    "deep": ("1.0", ["broken"]),
    "round-a": ("1.0", ["round-b"]),
    "round-b": ("1.0", ["round-a"]),
    "odd": ("not a version", []),
    "local": ("2.1+cpu", []),
}


@pytest.fixture(scope="module")
def find(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    for name, (version, needs) in INSTALLED.items():
        info = folder / f"{re.sub('[-.]', '_', name.lower())}-{version.replace(' ', '_')}.dist-info"
        info.mkdir()
        about = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {version}",
            *(f"Requires-Dist: {need}" for need in needs),
        ]
        (info / "METADATA").write_text("\n".join([*about, ""]))
    (folder / "empty-1.0.dist-info").mkdir()

    def find(name):
        for found in metadata.distributions(name=name, path=[str(folder)]):
            return found
        raise metadata.PackageNotFoundError(name)

    return find


@pytest.fixture
def reasons(tmp_path, find):
    def ask(content, **others):
        for name, text in others.items():
            (tmp_path / f"{name}.txt").write_text(text)
        (tmp_path / "requirements.txt").write_text(content)
        return unmet(read(tmp_path / "requirements.txt"), find)

    return ask


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# nothing",
        "alone",
        "alone>=1.5,<2  # a comment",
        "ALONE == 1.5.0",
        "mixed_case>=2.0rc1",
        "mixed-case>1",  # an installed pre-release is within the bounds
        "top",
        "round-a",
        "local==2.1",
        'absent; python_version < "3"',
        'absent; sys_platform == "nowhere"',
        'alone; python_version >= "3"',
    ],
)
def test_satisfied(content, reasons):
    assert reasons(content) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("absent", "absent: not installed"),
        ("alone>=2", "alone>=2: 1.5 is installed"),
        ("alone===1.5.0", "alone===1.5.0: 1.5 is installed"),
        ("top[more]", 'top needs absent; extra == "more": not installed'),
        ("top[strict]", 'top needs alone<1; extra == "strict": 1.5 is installed'),
        ("broken", "broken needs alone>=2: 1.5 is installed"),
        ("deep", "broken needs alone>=2: 1.5 is installed"),
        ("odd", "odd: its installed metadata cannot be read"),
        ("empty", "empty: its installed metadata cannot be read"),
        ('absent; python_version >= "3"', 'absent; python_version >= "3": not installed'),
        ("-e .", "cannot tell for requirements.txt, line 1: -e . (an option of the installer)"),
        (
            "--index-url https://x.org",
            "cannot tell for requirements.txt, line 1: "
            "--index-url https://x.org (an option of the installer)",
        ),
        (
            "-r https://x.org/r.txt",
            "cannot tell for requirements.txt, line 1: "
            "-r https://x.org/r.txt (an option of the installer)",
        ),
        (
            "https://x.org/a.whl",
            "cannot tell for requirements.txt, line 1: "
            "https://x.org/a.whl (it is not a name with versions)",
        ),
        (
            "./alone",
            "cannot tell for requirements.txt, line 1: ./alone (it is not a name with versions)",
        ),
        (
            "alone @ https://x.org/a.whl",
            "cannot tell for requirements.txt, line 1: "
            "alone @ https://x.org/a.whl (it names a URL)",
        ),
        (
            "alone --hash=sha256:ab",
            "cannot tell for requirements.txt, line 1: "
            "alone --hash=sha256:ab (it has options of the installer)",
        ),
        (
            "alone = 1",
            "cannot tell for requirements.txt, line 1: alone = 1 (it is not a name with versions)",
        ),
    ],
)
def test_not_satisfied(content, reason, reasons):
    assert reasons(content) == [reason]


def test_all_reasons_are_given_once(reasons):
    assert reasons("absent\nalone>2\nabsent\nalone") == [
        "absent: not installed",
        "alone>2: 1.5 is installed",
    ]


def test_included_files_count(reasons):
    assert reasons("-r more.txt", more="absent") == ["absent: not installed"]


def test_constraints_count_for_what_is_needed_only(reasons):
    assert reasons("top\n-c limits.txt", limits="alone<1\nabsent>5\nbroken<1") == [
        "top needs alone<1: 1.5 is installed"
    ]


def test_what_this_environment_has():
    from importlib.metadata import version

    from qs.environments.requirements_file import Line

    def ask(text):
        from pathlib import Path

        return unmet([Line(Path("r.txt"), 1, text, text)])

    assert ask(f"numpy=={version('numpy')}") == []
    assert ask("numpy<0.1") == [f"numpy<0.1: {version('numpy')} is installed"]
