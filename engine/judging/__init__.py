"""What a result is worth: rules, scenarios, and what could have moved the numbers."""
