"""What vendors and data sets build on: the base classes of backends, data sets and accuracy
checkers.

Names and defaults are ByteMLPerf's, so that existing backends run unmodified; qs.inside.imports
gives these modules their old import paths while such code is loaded. They need numpy and the
standard library alone: a backend's environment need not contain anything else of ours.
"""
