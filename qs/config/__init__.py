"""The published files as typed, checked values: workload, model info, interact profile, compile
result.
"""
