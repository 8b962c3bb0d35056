"""A request as a file describes it: where the samples' values stand in it, and where the answer
holds the outputs.
"""
