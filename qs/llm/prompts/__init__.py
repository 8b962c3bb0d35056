"""Where prompts come from: one kind of source a file."""
