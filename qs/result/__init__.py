"""What a run leaves: its rows, its journal, its saved files, and how they are read back."""
