"""A gate for continuous integration: old and new measured in turn, round by round, until one can
tell whether the new is slower, or a budget is over.

`sequential` has the statistics, `gate` the conditions and what became of them, `running` the
measuring, `report` what came out and `writing` its forms for people and CI servers.
"""
