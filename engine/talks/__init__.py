"""Conversations as they go on: which turn is due when, and what became of them."""
