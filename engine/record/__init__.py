"""What was measured: shared memory, recorders, histograms, intervals and the files they are written
to.
"""
