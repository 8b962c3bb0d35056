"""Confidence intervals, trends, and the distributions behind them."""
