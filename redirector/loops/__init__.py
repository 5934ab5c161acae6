"""What a worker does over and over again."""
