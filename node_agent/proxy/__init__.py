"""nginx in front of the sandboxes."""
