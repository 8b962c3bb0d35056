"""Nodes of a cluster as places where a backend runs: what is brought there, and what is asked."""
