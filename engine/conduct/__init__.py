"""The order of events of a run, from the layout of its workers to the assembled result."""
