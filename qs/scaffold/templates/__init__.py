"""The text of a new backend's files; `$NAME` and `$name` stand for its name. Data, not code:
nothing here is imported.
"""
