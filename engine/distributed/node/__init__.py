"""A node's own side: the guard that talks, and the process that runs what is asked."""
