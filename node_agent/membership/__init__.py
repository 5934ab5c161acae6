"""Who this node is, what was decided of it, and the fleet that it belongs to."""
