"""What the machine is and did meanwhile: cores, CPU times, control groups, frequencies."""
