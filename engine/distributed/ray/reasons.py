"""What Ray's errors mean for a user, in a line. Works on their words, since many of them have no
class of their own; imports no Ray.
"""

from __future__ import annotations

import re

_LONGEST = 600
# What the message of a lost actor holds, and what has happened then.
_OOM = r"out of memory|low on memory|OUT_OF_MEMORY|OutOfMemory"
_LOST = (
    (r"node (?:has )?died|node was terminated|NODE_DIED|node failure", "its raylet died"),
    (r"raylet .*(?:died|unexpectedly|failed)|its raylet", "its raylet died"),
    (r"ray\.kill|INTENDED_SYSTEM_EXIT", "its actor was ended"),
    (r"SIGKILL|connection error code 2|End of file|SYSTEM_ERROR", "its actor's process was killed"),
    (r"owner|driver|job (?:has )?(?:finished|exited)", "the process that held its actor ended"),
)


def lost_words(message: str) -> str:
    """Why an actor is lost, from the message of Ray's error."""
    text = _plain(message)
    if re.search(_OOM, text, re.IGNORECASE):
        return _oom(text)
    for pattern, meaning in _LOST:
        if re.search(pattern, text, re.IGNORECASE):
            detail = _detail(text)
            return f"{meaning} ({detail})" if detail else meaning
    return _shortened(text)


def failed_words(message: str, executable: str = "") -> str:
    """Why a place could not be set up, from the message of Ray's error."""
    text = _plain(message)
    if re.search(_OOM, text, re.IGNORECASE):
        return _oom(text)
    missing = re.search(r"No module named '([\w.]+)'", text)
    if missing:
        return lacking([missing[1]], executable)
    if raylet_died(text):
        return "its raylet has died a moment ago"
    if "runtime_env" in text or "runtime environment" in text.lower():
        return f"Ray could not bring our files there: {_shortened(text)}"
    return _shortened(text)


def raylet_died(message: str) -> bool:
    """Whether a place could not be set up since its node is no more."""
    return re.search(r"node has died|node was terminated", _plain(message)) is not None


def lacking(names: list[str], executable: str) -> str:
    """What a node lacks, and what to do."""
    python = executable or "python"
    return (
        f"it lacks {', '.join(names)}; install there what this machine has, with `{python} -m pip "
        "install quicksilver-perf`"
    )


def connecting_words(message: str, address: str) -> str:
    """Why a cluster could not be joined, from the messages of Ray's errors."""
    text = _plain(message)
    versions = re.findall(r"(Ray|Python): +([\w.+-]+)", text)
    if "Version mismatch" in text and len(versions) >= 4:
        theirs, ours = dict(versions[:2]), dict(versions[2:4])
        differing = [name for name in ("Ray", "Python") if theirs.get(name) != ours.get(name)]
        them = " and ".join(f"{name} {theirs.get(name)}" for name in differing)
        us = " and ".join(f"{name} {ours.get(name)}" for name in differing)
        return (
            f"the cluster at {address} has {them}, and this program runs with {us}; they must be "
            "the same: run it from an environment like the cluster's"
        )
    if re.search(r"No node info found|No running ray instance|node_ip_address|raylet", text):
        return (
            f"this machine is not part of the cluster at {address}: run `ray start "
            f"--address={address} --num-cpus=0` here first, or run this on one of its nodes"
        )
    if re.search(r"auth|token", text, re.IGNORECASE):
        return (
            f"the cluster at {address} asks for a token: set RAY_AUTH_MODE=token and "
            f"RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) as on its nodes. Ray says: {_shortened(text)}"
        )
    return f"the cluster at {address} cannot be joined: {_shortened(text)}"


def _oom(text: str) -> str:
    used = re.search(r"Memory on the node.*? was ([\d.]+ ?\w+(?: used)? / [\d.]+ ?\w+)", text)
    how = used[1].strip() if used else _shortened(text, 200)
    return f"Ray's memory monitor killed it, as the machine ran out of memory: {how}"


def _detail(text: str) -> str:
    found = re.search(r"Worker exit detail: (.*?)(?:\.(?: |$)|$)", text) or re.search(
        r"(?:died because|because) (.*?)(?:\.(?: |$)|$)", text
    )
    return _shortened(found[1], 200) if found else ""


def _plain(message: str) -> str:
    """Without colours and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", message).split())


def _shortened(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest // 2]} ... {text[-longest // 2 :]}"
