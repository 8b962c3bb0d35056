"""Is this machine fit to measure on: what it is like, what that does to a measurement, and what to
change.

`look` reads the kernel's files and takes some milliseconds; qs.doctor.self_benchmark measures for
ten seconds. Nothing is changed.
"""
