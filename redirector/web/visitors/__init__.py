"""What visitors and their programs ask."""
