"""What others see of a run while it goes on: lines and a panel on a terminal, metrics for
Prometheus, and afterwards its trace.

Each is a View. They hear what the engine reports a few times a second, and measure nothing
themselves.
"""
