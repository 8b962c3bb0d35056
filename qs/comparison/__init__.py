"""Comparing results: which cases are alike, by how much they differ, and whether that difference is
more than noise.
"""
