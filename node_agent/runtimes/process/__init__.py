"""Sandboxes as processes of this machine, which isolate nothing."""
