"""The driver's side of a run: nodes are opened, led through it together, and may be lost."""
