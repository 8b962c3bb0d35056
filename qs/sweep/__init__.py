"""Many combinations of settings of one task, measured in turn: which are possible, in what order,
which are worth more time, what they come to, and which to take.

Everything but qs.sweep.running is planning and reading. The search for a limit is qs.limit.
"""
