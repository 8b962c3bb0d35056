"""What a run leaves behind: the result JSON, histogram logs, events, and the summary on the
terminal. Nothing is measured here.
"""
