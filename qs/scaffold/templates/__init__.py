"""The text of a new backend's files; `$NAME` and `$name` stand for its name. Data: nothing here is
imported.
"""
