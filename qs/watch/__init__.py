"""What others see of a run while it goes on: the panel on a terminal, metrics for Prometheus; and
the trace of it afterwards.

All of them are told what the engine tells its watcher, a few times a second, and measure nothing
themselves.
"""
