"""JSON schemas of the files that users and vendors write, and of the result, generated from the
typed models.
"""
