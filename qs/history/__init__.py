"""The history of runs: every result in one database of the user's, to find again, tag, compare and
see a trend in.
"""

from qs.history.recording import record

__all__ = ["record"]
