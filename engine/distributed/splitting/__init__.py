"""A plan as exact parts for several nodes."""
