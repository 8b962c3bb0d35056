"""Where node processes run, and how one is started and ended."""
