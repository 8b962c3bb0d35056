"""JSON schemas of the files that users and vendors write, and of the result, made from the typed
models.
"""
