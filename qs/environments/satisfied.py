"""Does an environment already hold what a requirements.txt asks for? Answered from metadata, in
milliseconds and with reasons; nothing is imported or fetched.

Like pip, it looks at dependencies too: a package whose own requirements are not met does not count.
If a line cannot be judged by names and versions (a URL, a path, -e, an index of its own, hashes),
the answer is no.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from qs.environments.requirements_file import Line

Find = Callable[[str], Any]  # name -> an importlib.metadata distribution, or PackageNotFoundError
NO_EXTRA = frozenset({""})


def unmet(lines: Iterable[Line], find: Find = metadata.distribution) -> list[str]:
    """Why the lines are not satisfied, one reason each; empty where they are. `find` looks a
    distribution up by name.
    """
    reasons: list[str] = []
    wanted: list[Requirement] = []
    constraints: dict[str, list[Requirement]] = {}
    for line in lines:
        try:
            requirement = _requirement(line)
            applies = _applies(requirement, NO_EXTRA)
        except _CannotTell as doubt:
            reasons.append(f"cannot tell for {line} ({doubt})")
            continue
        if not applies:
            continue
        if line.constraint:
            constraints.setdefault(canonicalize_name(requirement.name), []).append(requirement)
        else:
            wanted.append(requirement)
    return list(dict.fromkeys([*reasons, *_missing(wanted, constraints, find)]))


class _CannotTell(Exception):
    """A line that names and versions alone do not settle."""


def _requirement(line: Line) -> Requirement:
    if line.is_option:
        raise _CannotTell("an option of the installer")
    if line.has_options:
        raise _CannotTell("it has options of the installer")
    try:
        requirement = _read(line.requirement)
    except ValueError:
        raise _CannotTell("it is not a name with versions") from None
    if requirement.url:
        raise _CannotTell("it names a URL")
    return requirement


def _read(text: str) -> Requirement:
    """ValueError for what is none, also for versions of more digits than Python converts, of which
    packaging only says so when it compares them.
    """
    requirement = Requirement(text)
    requirement.specifier.contains("0", prereleases=True)
    return requirement


def _missing(
    wanted: list[Requirement], constraints: dict[str, list[Requirement]], find: Find
) -> list[str]:
    reasons = []
    queue = deque((requirement, "") for requirement in wanted)
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        requirement, asker = queue.popleft()
        who = f"{asker} needs " if asker else ""
        try:
            found = find(requirement.name)
            version = Version(found.metadata.get("Version") or "")
            needs = [_read(text) for text in found.requires or ()]
        except metadata.PackageNotFoundError:
            reasons.append(f"{who}{requirement}: not installed")
            continue
        except (ValueError, TypeError):  # TypeError: a damaged one has no version at all
            reasons.append(f"{who}{requirement}: its installed metadata cannot be read")
            continue
        name = canonicalize_name(requirement.name)
        for asked in (requirement, *constraints.get(name, ())):
            # An installed pre-release that fits the bounds satisfies pip too.
            if not asked.specifier.contains(version, prereleases=True):
                reasons.append(f"{who}{asked}: {version} is installed")
        extras = NO_EXTRA | frozenset(requirement.extras)
        if (name, extras) not in seen:
            seen.add((name, extras))
            try:
                more = [need for need in needs if _applies(need, extras)]
            except _CannotTell as doubt:
                reasons.append(f"cannot tell for what {name} needs ({doubt})")
                continue
            queue.extend((need, found.metadata.get("Name", name)) for need in more)
    return reasons


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    try:
        return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
    except ValueError:  # it compares what cannot be compared
        raise _CannotTell("its marker cannot be evaluated") from None
