"""One connection for each node: its bytes, proofs and limits, what a driver asks and a node tells,
and how their clocks stand to each other.
"""
