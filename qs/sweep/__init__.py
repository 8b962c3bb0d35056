"""Many settings of one task measured in turn: which are possible, in what order, which are worth
more time, and what they come to.

Pure planning and reading; what measures is qs.sweep.running. The search for a limit is qs.limit.
"""
