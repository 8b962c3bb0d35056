"""What a run leaves: its rows, its record, its saved files, and how they are read back."""
