"""The scenarios by name: what `--scenario`, a QS config and a report's rows may say.

qs.settings.traffic holds a scenario's settings; the engine runs and judges it.
"""

from __future__ import annotations

CLOSED_LOOP = "ClosedLoop"
POISSON, CONSTANT_RATE, STAGES, REPLAY = "Poisson", "ConstantRate", "Stages", "Replay"
# Gaps of a stated burstiness; conversations of several turns.
GAMMA, SESSIONS = "Gamma", "Sessions"
SINGLE_STREAM, MULTI_STREAM, SERVER, OFFLINE = "SingleStream", "MultiStream", "Server", "Offline"

MLPERF = (SINGLE_STREAM, MULTI_STREAM, SERVER, OFFLINE)
# Whose queries have due times, from which response times count.
OPEN_LOOP = (POISSON, CONSTANT_RATE, GAMMA, STAGES, REPLAY, SESSIONS, SERVER, OFFLINE)
# Those of them that know all due times beforehand: theirs can wait in a line, or share a call.
QUEUED = (POISSON, CONSTANT_RATE, GAMMA, STAGES, REPLAY, SERVER, OFFLINE)
# Whose queries fall due by a schedule: these have an offered rate.
SCHEDULED = (POISSON, CONSTANT_RATE, GAMMA, STAGES, REPLAY, SERVER)
# Those that need a rate of arrivals.
RATED = (POISSON, CONSTANT_RATE, GAMMA, SERVER)
# As a QS config may name them, and as `--scenario` takes them.
CONFIGURABLE = (*MLPERF, POISSON, CONSTANT_RATE, GAMMA, STAGES, REPLAY, SESSIONS)
NAMES = (CLOSED_LOOP, POISSON, CONSTANT_RATE, GAMMA, STAGES, REPLAY, SESSIONS, *MLPERF)


def spelled(name: str) -> str:
    """As the command line takes it: SingleStream -> single_stream."""
    parts = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return parts.lstrip("_")


# What a search for the most load goes over: the rate of Poisson arrivals, or the users of a closed
# loop.
RATE, CONCURRENCY = "rate", "concurrency"
