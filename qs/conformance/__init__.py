"""The conformance test of a vendor's folder. It does not measure speed.

A check has two halves. One observes, in the backend's own process, and returns plain data: only
numpy and the standard library may be imported there. The other judges, in ours: a pure function
from what was seen to an outcome. Both stand in the module of their subject (`contract`, `answers`,
`threads`, ...); `checks` lists all checks in order, and `running` runs them.
"""
