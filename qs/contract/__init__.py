"""What a vendor or a data set builds on: the base classes of backends, data sets and accuracy
checkers.

Names and defaults are those that existing ByteMLPerf backends were written to, so that they run
unmodified; qs.inside.imports gives these modules their old import paths while such code is loaded.
Numpy and the standard library only: a backend's environment need not hold anything else of ours.
"""
