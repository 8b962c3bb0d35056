"""Servers of models: what they say of a model, and how its inputs and outputs travel."""
