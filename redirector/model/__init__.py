"""What is known of the fleet and what follows from it, in pure functions and values."""
