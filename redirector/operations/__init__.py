"""What operators do to nodes."""
