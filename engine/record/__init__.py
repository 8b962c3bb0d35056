"""What was measured: shared memory, recorders, histograms and intervals."""
