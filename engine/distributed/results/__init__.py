"""What nodes measured: told while they run, told at the end, and made one result of."""
