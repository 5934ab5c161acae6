"""The node's settings."""
