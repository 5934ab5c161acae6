"""How sandboxes are started, listed and ended: as containers, or as processes."""
