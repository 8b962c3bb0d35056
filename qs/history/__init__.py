"""The history of runs: every result in one database of the user's, to find again, tag, compare and
see trends in.
"""

from qs.history.entries import record

__all__ = ["record"]
