"""The node agent: one Docker host's pool of notebook sandboxes."""
