"""The redirector's settings."""
