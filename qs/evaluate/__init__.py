"""The stages of an evaluation, one a module, in the order of qs.evaluate.evaluation. Each takes
what it needs and returns plain data.
"""
