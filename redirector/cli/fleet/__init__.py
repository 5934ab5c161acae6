"""How commands find and watch a fleet."""
