"""The only HTTP toward nodes."""
