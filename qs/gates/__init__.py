"""Conditions of `--fail_if`: what may be typed, and whether a figure meets it.

`qs.gates.grammar` reads conditions before anything is measured: bounds on a figure of one run
(`p99>50ms`), and changes between two (`p99.slower:10%`). `qs.gates.bounds` holds a result to its
bounds; changes are judged by what compares (qs.comparison, qs.ci).
"""
