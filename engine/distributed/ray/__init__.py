"""Places on a Ray cluster. Ray itself is imported in a process of its own alone."""
