"""What is there, and what is wanted."""
